"""Ten drawn records, and how many drawn records keep each rule of the schema.

Both come from the generator alone, so every report has them, and they say nothing about a real record.
"""

from dataclasses import dataclass

from fedsynth_common.encoding.violations import rule_violations
from fedsynth_release.generator import Generator

ROWS, CHECKED = 10, 2000


@dataclass(frozen=True)
class Samples:
    """What a drawn table looks like.

    Attributes:
        names: the columns.
        rows: the cells of the ten records, as texts.
        rules: for each rule its name, and the share of drawn records that keep it.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rules: tuple[tuple[str, float], ...]


def samples(generator: Generator) -> Samples:
    """Ten records, and the rules that drawn records keep; of histories a record is an event."""
    frame = generator.sample(ROWS, seed=0).head(ROWS)
    cells = frame.astype("str").where(frame.notna(), "–")
    rules: tuple[tuple[str, float], ...] = ()
    if generator.schema.rules:
        drawn = generator.sample(CHECKED, seed=1)
        broken = rule_violations(drawn, generator.schema)
        rules = tuple((name, 1 - count / len(drawn)) for name, count in broken.items())
    return Samples(
        names=tuple(str(name) for name in frame.columns),
        rows=tuple(tuple(row) for row in cells.itertuples(index=False, name=None)),
        rules=rules,
    )
