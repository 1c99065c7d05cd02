"""Noisy counts that a study of a cohort leaves to the next one, and how the two are combined.

Earlier cohorts say something about the newest one, but less the older they are. With a half-life of h
cohorts the weight of a cohort halves every h cohorts; within that, estimates are weighted by the inverse
of their variances, which are known. This is the filter of a slowly moving mean whose precision is
discounted at each step (West & Harrison 1997, "Bayesian Forecasting and Dynamic Models", section 6.3).

The counts of site s become C = a C_old + C_new with one factor a for all sites and cells. With
precisions P, numbers of records n and the discount d = 2^(-1/h), the factor
a = d (P_old / P_new) (n_new / n_old) gives the frequencies C / n the weights d P_old : P_new. The noise
of a cell then has the variance a² v_old + v_new.

Everything in here is noisy already, so that whatever is done with it costs no more privacy. The file
stays with the coordinator: nobody needs it to use a generator.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fedsynth_common.array_types import Float64Array
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_server.aggregation.marginal_queries import CountsBySite

CARRIED = "carried.safetensors"
FORMAT = "fedsynth-carried-1"


@dataclass(frozen=True)
class Counts:
    """The noisy counts of one message, by site: all queries one after the other.

    Attributes:
        by_site: (cells,) for each site.
        variance: of the noise in a cell, for each site.
    """

    by_site: Mapping[str, Float64Array]
    variance: Mapping[str, float]

    @classmethod
    def of(cls, tables: CountsBySite, variance: float) -> "Counts":
        """From what the sites sent."""
        flat = {s: np.concatenate([part.ravel() for part in own]) for s, own in tables.items()}
        return cls(flat, dict.fromkeys(flat, variance))

    @property
    def mean_variance(self) -> float:
        """Of a cell, on average over the sites: times their number it is that of their sum."""
        return sum(self.variance.values()) / max(1, len(self.variance))

    def tables(self, shapes: Sequence[tuple[int, ...]]) -> dict[str, list[Float64Array]]:
        """By site, an array for each query."""
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        return {
            site: [p.reshape(s) for p, s in zip(np.split(flat, ends), shapes, strict=True)]
            for site, flat in self.by_site.items()
        }

    def plus(self, new: "Counts", factor: float) -> "Counts":
        """`factor` times these counts, and the new ones; a site may be in one of them only.

        Raises:
            InputError: the counts are not of the same queries.
        """
        sites = dict.fromkeys([*self.by_site, *new.by_site])
        try:
            summed = {
                s: factor * self.by_site.get(s, np.zeros(1)) + new.by_site.get(s, np.zeros(1))
                for s in sites
            }
        except ValueError:
            raise InputError(
                "the earlier study counted other cells; its schema is another one"
            ) from None
        variance = {
            s: factor**2 * self.variance.get(s, 0.0) + new.variance.get(s, 0.0) for s in sites
        }
        return Counts(summed, variance)


@dataclass(frozen=True)
class Carried:
    """What is left to the next study.

    Attributes:
        cohorts: whose counts are in it, oldest first.
        plan: digest of the plan of the newest.
        histograms: counts of the fine cells.
        pairs: counts of the pairs in the codes of the generator's codebook; None without pairs.
        records: noisy number of records that the counts amount to.
        precision: inverse variance of a frequency of the histograms, on average, for the newest cohort.
        sampling: variance that the choice of records gives a frequency p, divided by p (1 - p).
    """

    cohorts: tuple[str, ...]
    plan: str
    histograms: Counts
    pairs: Counts | None
    records: float
    precision: float
    sampling: float

    @classmethod
    def single(
        cls, cohort: str, plan: str, histograms: Counts, records: float, columns: int
    ) -> "Carried":
        """That of one cohort alone, before its pairs are known."""
        cells = sum(len(flat) for flat in histograms.by_site.values()) / len(histograms.by_site)
        noise = histograms.mean_variance * len(histograms.variance) / records**2
        chosen = min(1.0, columns / cells) / records  # p (1 - p) / n of the average cell, at most
        return cls(
            (cohort,), plan, histograms, None, records, 1.0 / (noise + chosen), 1.0 / records
        )

    def factor(self, new: "Carried", half_life: float) -> float:
        """The factor a of the module, with which these counts are added to those of a newer cohort."""
        discount: float = 0.5 ** (1.0 / half_life)
        return discount * self.precision / new.precision * new.records / self.records

    def followed_by(self, new: "Carried", half_life: float) -> "Carried":
        """Both together, discounted by the half-life (in cohorts). Pairs are added apart."""
        factor = self.factor(new, half_life)
        records = factor * self.records + new.records
        share = factor * self.records / records
        return Carried(
            cohorts=(*self.cohorts, *new.cohorts),
            plan=new.plan,
            histograms=self.histograms.plus(new.histograms, factor),
            pairs=None,
            records=records,
            precision=0.5 ** (1.0 / half_life) * self.precision + new.precision,
            sampling=share**2 * self.sampling + (1 - share) ** 2 * new.sampling,
        )

    def save(self, path: Path) -> None:
        """Write the file; it is on disk when this returns."""
        arrays = {f"histograms.{s}": flat for s, flat in self.histograms.by_site.items()}
        if self.pairs is not None:
            arrays |= {f"pairs.{s}": flat for s, flat in self.pairs.by_site.items()}
        facts = {
            "cohorts": self.cohorts,
            "plan": self.plan,
            "records": self.records,
            "precision": self.precision,
            "sampling": self.sampling,
            "histograms": dict(self.histograms.variance),
            "pairs": dict(self.pairs.variance) if self.pairs else None,
        }
        header = {"format": FORMAT, "facts": json.dumps(facts)}
        write_durably(path, save(arrays, metadata=header), 0o600)

    @classmethod
    def load(cls, path: Path) -> "Carried":
        """Read the file.

        Raises:
            InputError: missing or damaged.
        """
        try:
            content = path.read_bytes()
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            facts = json.loads(header["__metadata__"]["facts"])
            arrays = load(content)

            def counts(kind: str) -> Counts:
                variance = {str(s): float(v) for s, v in facts[kind].items()}
                return Counts({s: arrays[f"{kind}.{s}"] for s in variance}, variance)

            return cls(
                tuple(facts["cohorts"]),
                str(facts["plan"]),
                counts("histograms"),
                counts("pairs") if facts["pairs"] else None,
                *(float(facts[name]) for name in ("records", "precision", "sampling")),
            )
        except OSError as error:
            fault = f"{path}: cannot be read ({error.strerror})"
            raise InputError(
                f"{fault}; a study is refreshed from the folder in which it ran"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, SafetensorError):
            raise InputError(f"{path}: damaged, or of another version of fedsynth") from None
