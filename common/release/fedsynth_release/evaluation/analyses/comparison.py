"""Says whether a conclusion from synthetic rows is the one that the real rows lead to.

For a coefficient, a conclusion is: it is above 0, below 0, or not told from 0 (its 95 % interval
includes 0). It *holds* if both tables lead to the same one and the intervals overlap. If they lead
to the same one and the intervals do not overlap, it holds *partly*: the direction is right, the size
is not. For a mean or a share, which has no 0 to be told from, a conclusion holds if the intervals
overlap by half or more, and partly if they overlap by less.
"""

from fedsynth_release.evaluation.analysis_results import Conclusion
from fedsynth_release.evaluation.result_parts import Estimate

HALF = 0.5
Triple = tuple[float, float, float]


def interval_overlap(real: Triple, synthetic: Triple) -> float | None:
    """Mean share of the two intervals that their intersection covers (Karr et al. 2006).

    None if an interval has no width.

    >>> interval_overlap((0.0, -1.0, 1.0), (1.0, 0.0, 2.0))
    0.5
    >>> interval_overlap((0.0, -1.0, 1.0), (4.0, 3.0, 5.0))
    -1.0
    """
    widths = real[2] - real[1], synthetic[2] - synthetic[1]
    if min(widths) <= 0:
        return None
    common = min(real[2], synthetic[2]) - max(real[1], synthetic[1])
    return 0.5 * (common / widths[0] + common / widths[1])


def conclusion_of(
    term: str, real: Triple | None, synthetic: Triple | None, *, level: bool, why: str = ""
) -> Conclusion:
    """Compare two estimates of the same thing.

    Args:
        term: what they are about.
        real: of the real rows, with its interval.
        synthetic: of the synthetic rows.
        level: whether it is a mean or a share, and no coefficient.
        why: what to say if one of them is missing.
    """
    if real is None or synthetic is None:
        told = f"This cannot be told: {why or 'it cannot be estimated in both tables'}."
        return _conclusion(term, real, synthetic, None, (None, None), ("unknown", told))
    overlap = interval_overlap(real, synthetic)
    if level:
        return _conclusion(term, real, synthetic, overlap, (None, None), _of_level(overlap))
    signs = (real[0] > 0) == (synthetic[0] > 0)
    found, made = (one[1] > 0 or one[2] < 0 for one in (real, synthetic))
    verdict = _of_coefficient(found, made, signs, overlap)
    return _conclusion(term, real, synthetic, overlap, (signs, found == made), verdict)


def _of_level(overlap: float | None) -> tuple[str, str]:
    if overlap is None:
        return "unknown", "This cannot be told: all values are the same in one of the tables."
    if overlap >= HALF:
        return "holds", "This conclusion holds: both intervals say nearly the same."
    if overlap > 0:
        return "partly", "The size is only roughly right: the intervals overlap a little."
    return "does not hold", "This conclusion does not hold: the intervals do not overlap."


def _of_coefficient(found: bool, made: bool, signs: bool, overlap: float | None) -> tuple[str, str]:
    if found and made and not signs:
        return "does not hold", "This conclusion does not hold: the direction is the opposite one."
    if found and not made:
        return "does not hold", "This conclusion is lost: the real rows show it, the others do not."
    if made and not found:
        return "does not hold", "This conclusion is invented: the real rows do not show it."
    if overlap is None:
        return "unknown", "This cannot be told: an interval has no width."
    if overlap <= 0:
        return "partly", "The direction holds, but the size is wrong."
    if not found:
        return "holds", "This conclusion holds: neither table shows an effect."
    return "holds", "This conclusion holds: same direction, and the intervals overlap."


def _conclusion(
    term: str,
    real: Triple | None,
    synthetic: Triple | None,
    overlap: float | None,
    agreement: tuple[bool | None, bool | None],
    verdict: tuple[str, str],
) -> Conclusion:
    return Conclusion.model_validate(
        {
            "term": term,
            "real": _estimate(real),
            "synthetic": _estimate(synthetic),
            "overlap": overlap,
            "same_sign": agreement[0],
            "same_significance": agreement[1],
            "verdict": verdict[0],
            "sentence": verdict[1],
        }
    )


def _estimate(found: Triple | None) -> Estimate | None:
    return None if found is None else Estimate(value=found[0], low=found[1], high=found[2])
