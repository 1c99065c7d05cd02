"""What a study would do and cost, before it does anything."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table as RichTable
from rich.text import Text

from fedsynth.display import Shown
from fedsynth.notices import in_python

if TYPE_CHECKING:
    from fedsynth_common.protocol.plan import Plan as StudyPlan
    from fedsynth_server.training.duration import Duration


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """A study as a site would approve it, with what each step costs and how long it will take.

    Attributes:
        study: the plan itself, with its digest.
        duration: seconds of computing, by part, as a probe on this computer estimates them.
        caveats: why the result would not be private; () if it would be.
    """

    study: "StudyPlan"
    duration: "Duration"
    caveats: tuple[str, ...] = ()

    @property
    def epsilon(self) -> float:
        """The ε that all steps together cost the records of one site."""
        from fedsynth_common.privacy.accounting import epsilon

        return epsilon(self.study.planned_events(), self.study.delta)

    @property
    def delta(self) -> float:
        """The δ that belongs to `epsilon`."""
        return self.study.delta

    @property
    def variant(self) -> str:
        """What the budget is spent on: `marginals`, `three-way`, `gan`, `both` or `listen`."""
        from fedsynth_server.study.method import method_of

        return method_of(self.study)

    @property
    def seconds(self) -> float:
        """About how long the study computes on this computer; good to a factor of two."""
        return self.duration.here(len(self.study.sites))

    @property
    def private(self) -> bool:
        """Whether the result would be private."""
        return not self.caveats

    @in_python()
    def save(self, path: Path | str) -> Path:
        """Write the plan as a file that `fedsynth study explain` and `fedsynth site approve` read."""
        from fedsynth_common.durable import write_output

        write_output(Path(path), self.study.to_json() + b"\n")
        return Path(path)

    def _parts(self) -> list[Any]:
        from fedsynth_server.study.costs import explain
        from fedsynth_server.study.method import simulation_lines

        plan = self.study
        sites = f"{len(plan.sites)} site{'s' if len(plan.sites) > 1 else ''}"
        title = f"plan: {sites} of about {plan.records_per_site:,} records, {plan.trust}"
        table = RichTable("step", "mechanism", "noise", "ε alone", "share", title=title)
        for cost in explain(plan):
            alone, share = f"{cost.epsilon_alone:.4f}", f"{cost.share:.1%}"
            table.add_row(cost.step, cost.mechanism, cost.noise, alone, share)
        lines = [f"composed: ε = {self.epsilon:.4f} at δ = {plan.delta:g}"]
        lines += simulation_lines(plan, self.duration)
        return [table, *(Text(line) for line in (*lines, *self.caveats))]
