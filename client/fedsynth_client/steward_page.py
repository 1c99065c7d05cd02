"""The site's page: what `fedsynth site status` says, as HTML and as numbers for a monitor.

None of it is private beyond the ledger, and no record is read. Who may see it is decided by
`fedsynth_common.local_page`.
"""

import html
from collections.abc import Callable, Iterator

from fedsynth_common.local_page.metrics import Gauge
from fedsynth_common.local_page.server import Facts, View


def steward_view(title: str, facts: Callable[[], Facts]) -> View:
    """What the site's page shows of the facts that `site status --json` prints."""
    return View(title, facts, _main, _gauges)


def _main(facts: Facts) -> str:
    running, ledger = facts["running"], facts["ledger"]
    faults = [*running["faults"], *([ledger["fault"]] if ledger["fault"] else [])]
    lines = [f"<h1>{html.escape(str(facts['dataset']))}</h1>"]
    lines += [f'<p class="fault">{html.escape(line)}</p>' for line in faults]
    lines += [f'<p class="note">{html.escape(line)}</p>' for line in running["newer"]]
    up = {True: "runs", False: "does not run", None: "is not known"}
    connected = "is connected" if running["connected"] else "is not connected"
    lines.append(
        f"<p>The vault {up[running['vault']]}. The courier {up[running['courier']]} and {connected}.</p>"
    )
    if facts["spent"] is not None:
        lines += [*_budget(facts), *_studies(facts)]
        lines.append(f"<p>The ledger is sound. Entries: {ledger['seq']}.</p>")
    return "".join(lines)


def _budget(facts: Facts) -> Iterator[str]:
    yield (
        f"<h2>Budget</h2><p>ε {facts['spent']:.4f} of {facts['cap']:g} is spent at δ "
        f"{facts['delta']:g}, and {facts['left']:.4f} is left.</p>"
    )
    yield (
        f'<progress aria-label="budget that is spent" max="{facts["cap"]}" '
        f'value="{facts["spent"]}"></progress>'
    )


def _studies(facts: Facts) -> Iterator[str]:
    yield "<h2>Studies</h2>"
    if not facts["studies"]:
        yield "<p>No study was charged yet.</p>"
        return
    yield '<div class="wide"><table><tr><th>study<th class="n">ε<th class="n">steps charged</tr>'
    for name, study in facts["studies"].items():
        of = f" of {study['planned']}" if study["planned"] else ""
        yield (
            f'<tr><td>{html.escape(name)}<td class="n">{study["epsilon"]:.4f}'
            f'<td class="n">{study["steps"]}{of}</tr>'
        )
    yield "</table></div>"


def _gauges(facts: Facts) -> Iterator[Gauge]:
    running = facts["running"]
    yield Gauge("fedsynth_vault_up", running["vault"])
    yield Gauge("fedsynth_courier_up", bool(running["courier"]))
    yield Gauge("fedsynth_courier_connected", running["connected"])
    yield Gauge("fedsynth_ledger_sound", facts["ledger"]["sound"])
    yield Gauge("fedsynth_epsilon_cap", facts["cap"])
    yield Gauge("fedsynth_epsilon_spent", facts["spent"])
    yield Gauge("fedsynth_epsilon_left", facts["left"])
    for name, study in (facts["studies"] or {}).items():
        yield Gauge("fedsynth_study_steps", study["steps"], {"study": name})
