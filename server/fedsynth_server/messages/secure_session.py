"""What a secure sum gives the coordinator."""

from dataclasses import dataclass

from fedsynth_common.array_types import Float64Array


@dataclass(frozen=True)
class OpenedSum:
    """Counts of several sites together.

    Attributes:
        counts: noisy sums over the sites, an array per query.
        sites: whose counts and noise are in them.
    """

    counts: list[Float64Array]
    sites: tuple[str, ...]
