"""The shape of a network that follows from a schema and a codebook: what must agree in a file."""

from fedsynth_common.schema import Schema, domain_of, layout_of
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator_network import LatentShape
from fedsynth_release.histories.network import HistoryShape


def shape_of(schema: Schema, codebook: Codebook, **sizes: int) -> HistoryShape:
    """The architecture for a schema with histories.

    Args:
        schema: the user's.
        codebook: of its model columns.
        sizes: latents, regimes, latent_size and hidden; default: those of `HistoryShape`.
    """
    layout, widths = layout_of(schema), codebook.widths
    lengths = domain_of(layout.columns[layout.length])
    absent = []
    for place in layout.events:
        missing = domain_of(layout.columns[place]).missing
        looks_back = place in layout.since_previous and missing is not None
        absent.append(int(codebook.views[place][missing]) if looks_back else -1)
    counted = codebook.views[layout.length][lengths.atoms : lengths.atoms + layout.max_events]
    return HistoryShape(
        static=tuple(widths[place] for place in layout.static),
        events=tuple(widths[place] for place in layout.events),
        length_column=layout.length,
        length_codes=tuple(int(code) for code in counted),
        absent_codes=tuple(absent),
        **sizes,
    )


def fits(shape: LatentShape | HistoryShape, schema: Schema, codebook: Codebook) -> bool:
    """Whether a network of this shape speaks the codes of the schema and the codebook."""
    if schema.histories is None:
        return not isinstance(shape, HistoryShape)
    if not isinstance(shape, HistoryShape):
        return False
    sizes = {n: getattr(shape, n) for n in ("latents", "regimes", "latent_size", "hidden")}
    try:
        return shape_of(schema, codebook, **sizes) == shape
    except ValueError:
        return False
