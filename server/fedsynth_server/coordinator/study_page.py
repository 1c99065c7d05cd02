"""The coordinator's page: what `fedsynth study status` says, as HTML and as numbers for a monitor."""

import html
from collections.abc import Callable, Iterator

from fedsynth_common.local_page.metrics import Gauge
from fedsynth_common.local_page.server import Facts, View
from fedsynth_release.report.curves import panels
from fedsynth_release.report.history import Curve

MOST_WARNINGS = 20


def study_view(title: str, facts: Callable[[], Facts]) -> View:
    """What the page shows of a study's facts."""
    return View(title, facts, _main, _gauges)


def _main(facts: Facts) -> str:
    parts = [
        f"<h1>{html.escape(facts['study'])}</h1>",
        f'<p class="quiet">Plan {facts["plan"][:16]}…</p>',
        *_progress(facts),
        *_sites(facts),
        *_curves(facts),
        *_warnings(facts),
    ]
    return "".join(parts)


def _progress(facts: Facts) -> Iterator[str]:
    outcome = facts["outcome"]
    if not facts["superlink"]:
        yield (
            '<p class="fault">The SuperLink does not answer. Start it with fedsynth coordinator start; '
            "until then nobody knows which couriers are connected.</p>"
        )
    if outcome == "failed":
        yield f'<p class="fault">The study failed: {html.escape(facts["error"])}</p>'
    elif outcome == "finished":
        yield ('<p class="good">The study is finished. Hand it on with fedsynth study export.</p>')
    elif outcome == "not started":
        yield '<p class="note">The study was not started yet. Start it with fedsynth study run.</p>'
    else:
        yield (
            f"<p>The study is at work: {html.escape(facts['phase'])}, step {facts['step']} of "
            f"{facts['of']}{_left(facts['seconds_left_in_phase'])}.</p>"
            f'<progress aria-label="steps of this phase" max="{facts["of"]}" value="{facts["step"]}">'
            "</progress>"
        )
    yield (
        f"<p>Of ε {facts['epsilon_planned']:g} that the plan may cost each site, "
        f"{facts['epsilon_spent']:.3f} may be spent.</p>"
    )


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 100:
        return f", about {seconds:.0f} s left in this phase"
    return f", about {seconds / 60:.0f} minutes left in this phase"


def _sites(facts: Facts) -> Iterator[str]:
    sites = facts["sites"]
    online = sum(site["courier"] == "online" for site in sites.values())
    yield (
        f"<h2>Sites</h2><p>{online} of {len(sites)} couriers are connected.</p>"
        '<div class="wide"><table><tr><th>site<th>courier<th>in the study<th>waiting for it</tr>'
    )
    for name, site in sites.items():
        cells = (name, site["courier"], site["standing"], site["waiting"])
        yield f"<tr>{''.join(f'<td>{html.escape(cell)}' for cell in cells)}</tr>"
    yield "</table></div>"


def _curves(facts: Facts) -> Iterator[str]:
    if not facts["curves"]:
        return
    yield "<h2>Training</h2>"
    for panel in panels([Curve.model_validate(curve) for curve in facts["curves"]]):
        unit = f", in {panel.unit}" if panel.unit else ""
        caption = f"{panel.title}{unit}, by {panel.x}"
        yield f"<figure><figcaption>{html.escape(caption)}</figcaption>{panel.drawing}</figure>"


def _warnings(facts: Facts) -> Iterator[str]:
    if not facts["warnings"]:
        return
    yield "<h2>Warnings</h2>"
    if (more := len(facts["warnings"]) - MOST_WARNINGS) > 0:
        yield f"<p>The latest {MOST_WARNINGS}; there are {more} more in state.json.</p>"
    for line in facts["warnings"][-MOST_WARNINGS:]:
        yield f'<p class="note">{html.escape(line)}</p>'


def _gauges(facts: Facts) -> Iterator[Gauge]:
    for outcome in ("not started", "running", "finished", "failed"):
        labels = {"outcome": outcome}
        yield Gauge("fedsynth_study_outcome", facts["outcome"] == outcome, labels)
    yield Gauge("fedsynth_superlink_up", facts["superlink"])
    if facts["phase"]:
        labels = {"phase": facts["phase"]}
        yield Gauge("fedsynth_phase_step", facts["step"], labels)
        yield Gauge("fedsynth_phase_steps", facts["of"], labels)
    yield Gauge("fedsynth_phase_seconds_left", facts["seconds_left_in_phase"])
    yield Gauge("fedsynth_epsilon_spent", facts["epsilon_spent"])
    yield Gauge("fedsynth_epsilon_planned", facts["epsilon_planned"])
    yield Gauge("fedsynth_warnings", len(facts["warnings"]))
    sites = facts["sites"].items()
    for name, site in sites:
        connected = site["courier"] == "online" if facts["superlink"] else None
        yield Gauge("fedsynth_site_connected", connected, {"site": name})
    for name, site in sites:
        yield Gauge("fedsynth_site_enrolled", site["standing"] == "enrolled", {"site": name})
    for name, site in sites:
        yield Gauge("fedsynth_site_waited_for", bool(site["waiting"]), {"site": name})
