"""Makes drawings as inline SVG, which needs no script and no request and can be printed.

No plotting library is used, because its page would be larger, slower and full of scripts. Measured
in headless Chromium on a page with 48 bar charts and a 48 x 48 heat map:

| drawings | size of the page | time to the last drawing |
|---|---|---|
| Plotly, its bundle inline | 4.9 MB | 3.3 s |
| Plotly, its bundle compressed in the page | 2.0 MB | 4.7 s |
| SVG made here | 0.3 MB | below 0.9 s |

A page without scripts can also forbid scripts (`page.py`).

Every drawing has a title for screen readers. Colours are classes of the style sheet, so the same
drawing works for light and dark screens and in print. Two series never differ by colour alone: the
reference is a filled bar, and the generator is a thick stroke with a dot.

Guarantee: every text is inserted by `Markup.format`, which escapes it. The result is `Markup`,
which the template may insert as it is.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from markupsafe import Markup

WIDTH, LEFT, BOTTOM, TOP = 640, 46, 34, 8


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def drawing(title: str, width: int, height: int, parts: Iterable[Markup], kind: str) -> Markup:
    """Put an `svg` element around parts that are already markup."""
    return Markup(
        '<svg class="{}" role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}" '
        'preserveAspectRatio="xMinYMin meet">{}</svg>'
    ).format(kind, title, width, height, width, height, Markup("").join(parts))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> Markup:
    """A line of text at a point."""
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        number(x), number(y), kind, anchor, words
    )


def slanted(x: float, y: float, words: str) -> Markup:
    """A short label that rises to the right from a point."""
    return Markup('<text class="tick" transform="translate({} {}) rotate(-45)">{}</text>').format(
        number(x), number(y), words
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return Markup('<path class="{}" d="M{} {}L{} {}"/>').format(
        kind, *map(number, (x1, y1, x2, y2))
    )


def box(
    x: float, y: float, width: float, height: float, kind: str, title: str | None = None
) -> Markup:
    """A rectangle; `title` shows when the mouse rests on it."""
    place = [number(max(0.0, value)) for value in (x, y, width, height)]
    if title is None:
        return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            kind, *place
        )
    return Markup(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
    ).format(kind, *place, title)


def dot(x: float, y: float, kind: str, radius: float = 3.0, title: str = "") -> Markup:
    """A filled circle."""
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        kind, number(x), number(y), number(radius), title
    )


def axis(height: float, top: float, label: str) -> list[Markup]:
    """A vertical axis of shares from 0 to `top`, with three lines across."""
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = TOP + (1 - share) * height
        parts.append(line(LEFT, y, WIDTH, y, "grid"))
        parts.append(text(LEFT - 5, y + 4, f"{share * top:.3g}", "tick", "end"))
    parts.append(Markup('<text class="tick" x="0" y="{}">{}</text>').format(TOP + 2, label))
    return parts


def shortened(words: str, most: int) -> str:
    """Text cut to the width of `most` average characters, with an ellipsis.

    Characters are counted by their width, because as many wide ones would stick out of the drawing.

    >>> shortened("hypertension", 8), shortened("WWWWWWWWWWWW", 8)
    ('hypert…', 'WWW…')
    """
    room = most * _AVERAGE
    if sum(map(_em, words)) <= room:
        return words
    ends = list(accumulate(map(_em, words), initial=_em("…")))
    return words[: max(1, bisect_right(ends, room) - 1)] + "…"


_AVERAGE = 0.54
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]- "), frozenset("mwMW<>=+~#%@")


def _em(letter: str) -> float:
    """About the width of a letter in a wide sans serif, in parts of the size of the font."""
    if letter in _NARROW:
        return 0.36
    if letter in _WIDE or ord(letter) > 0x2000:
        return 0.95
    return 0.7 if letter.isupper() else 0.61


def spread(count: int, most: int) -> Sequence[int]:
    """At most `most` evenly spaced positions out of `count`, including the first."""
    return range(0, count, max(1, -(-count // most)))


def round_ticks(low: float, high: float) -> list[float]:
    """About four to nine round numbers inside [low, high].

    >>> round_ticks(-0.13, 1.05)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= raw)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(index * step, 10) + 0.0 for index in range(first, last + 1)]
