"""Numbers in the text format of Prometheus."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Gauge:
    """One number; None where it is not known, and then left out."""

    name: str
    value: float | bool | None
    labels: Mapping[str, str] = field(default_factory=dict)


def metrics_text(gauges: Iterable[Gauge]) -> str:
    r"""The gauges in the text format; those of one name must follow each other.

    >>> metrics_text([Gauge("up", True), Gauge("steps", 3, {"site": 'a"b'})])
    '# TYPE up gauge\nup 1\n# TYPE steps gauge\nsteps{site="a\\"b"} 3\n'
    """
    lines, last = [], ""
    for gauge in gauges:
        if gauge.value is None:
            continue
        if gauge.name != last:
            lines.append(f"# TYPE {gauge.name} gauge\n")
            last = gauge.name
        labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in gauge.labels.items())
        shown = f"{{{labels}}}" if labels else ""
        lines.append(f"{gauge.name}{shown} {float(gauge.value):.10g}\n")
    return "".join(lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
