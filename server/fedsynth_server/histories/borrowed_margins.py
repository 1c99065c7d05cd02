"""One-way marginals at places that few blocks hold, from those of an event and the next.

The family of a longer distance, and that of the first and the last event, has one block for each column
alone, and so noisy one-way marginals. The marginals of an event and the next are in many blocks. They
are not the same, since not everybody has many events, but much alike.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedsynth_common.protocol.counting import Over
from fedsynth_server.aggregation.marginals import MarginalEstimate, one_way_marginals
from fedsynth_server.histories.blocks import Block, Place


def borrowed(
    places: Sequence[Place],
    blocks: Sequence[Block],
    measured: Sequence[MarginalEstimate],
    widths: Sequence[int],
) -> list[MarginalEstimate]:
    """The marginals of an event and the next as estimates of those at places of few blocks.

    By how much the two differ beyond their noise is added to the variance (empirical Bayes: Efron &
    Morris 1973, "Stein's estimation rule and its competitors").

    Args:
        places: all places, in the order of the numbers in `measured`.
        blocks: what was measured.
        measured: the blocks' frequencies, columns being numbers of places.
        widths: codes at each place.
    """
    following = [k for k, block in enumerate(blocks) if block.family == (Over.NEXT, 1)]
    near = _margins([measured[k] for k in following], widths)
    number = {place: k for k, place in enumerate(places)}
    found = []
    for k, block in enumerate(blocks):
        if block.family[1] == 0 or block.family == (Over.NEXT, 1):
            continue
        own = _margins([measured[k]], widths)
        for place in block.places:
            here, there = number[place], number.get(Place(place.column, Over.NEXT, 1, place.at))
            if there is None or there not in near:
                continue
            noise = own[here].variance + near[there].variance
            apart = np.square(own[here].frequencies - near[there].frequencies).mean() - noise
            found.append(
                MarginalEstimate(
                    columns=(here,),
                    frequencies=near[there].frequencies,
                    variance=near[there].variance + max(0.0, float(apart)),
                )
            )
    return found


def _margins(
    pairs: Sequence[MarginalEstimate], widths: Sequence[int]
) -> dict[int, MarginalEstimate]:
    """The one-way marginals of the places in these pairs, by place."""
    present = sorted({place for pair in pairs for place in pair.columns})
    local = {place: k for k, place in enumerate(present)}
    renamed = [replace(p, columns=tuple(local[place] for place in p.columns)) for p in pairs]
    found = one_way_marginals(renamed, [widths[place] for place in present])
    return dict(zip(present, found, strict=True))
