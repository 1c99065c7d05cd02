"""What declared analyses found on real and on synthetic rows, and whether conclusions carry over.

An `AnalysisResult` is computed from real records without noise, like everything in an evaluation:
it must not be published.
"""

from typing import Literal

from fedsynth_release.evaluation.result_parts import Estimate, Finite, Part

Verdict = Literal["holds", "partly", "does not hold", "unknown"]


class Conclusion(Part):
    """One coefficient, mean or share.

    Attributes:
        term: what it is about.
        real, synthetic: with their 95 % intervals; None where a table gives none.
        overlap: confidence-interval overlap (Karr et al. 2006): 1 for equal intervals, 0 for
            intervals that touch, negative if they lie apart.
        same_sign: whether both estimates have one sign; None of means and shares.
        same_significance: whether both intervals exclude 0, or both include it; None likewise.
        verdict: of the conclusion.
        sentence: the verdict in plain words.
    """

    term: str
    real: Estimate | None
    synthetic: Estimate | None
    overlap: Finite | None
    same_sign: bool | None
    same_significance: bool | None
    verdict: Verdict
    sentence: str


class AnalysisResult(Part):
    """One declared analysis on both tables.

    Attributes:
        name: as it was declared.
        what: what the estimates are, in words.
        rows_real, rows_synthetic: usable rows.
        missing_real, missing_synthetic: rows that a missing cell kept out.
        left_out: levels that were left out with their rows, because too few rows have them.
        notes: what to bear in mind.
    """

    name: str
    kind: Literal["means", "proportions", "linear", "logistic", "cox"]
    what: str
    rows_real: int
    rows_synthetic: int
    missing_real: int
    missing_synthetic: int
    left_out: tuple[str, ...]
    conclusions: tuple[Conclusion, ...]
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """How many conclusions hold, in one sentence."""
        known = [one for one in self.conclusions if one.verdict != "unknown"]
        if not known:
            return "Nobody can tell whether a conclusion holds."
        held = sum(one.verdict == "holds" for one in known)
        if held == len(known) == 1:
            return "The conclusion holds."
        return f"{held} of {len(known)} conclusions hold."
