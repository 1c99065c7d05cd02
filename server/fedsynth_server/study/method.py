"""Says before the start what a plan's method is, why `auto` chose it, and about how long it takes."""

from fedsynth_common.protocol.plan import Plan
from fedsynth_server.histories.history_duration import estimated_of_histories
from fedsynth_server.study.planning import Variant
from fedsynth_server.study.screening import screening_pays
from fedsynth_server.training.duration import Duration, estimated, spoken
from fedsynth_server.training.settings import TrainingSettings

NAMES: dict[Variant, str] = {
    "both": "marginals of all pairs of columns, and discriminators",
    "listen": "marginals of all pairs of columns, and discriminators where the first of them say more "
    "than noise, else the same marginals again",
    "marginals": "marginals of all pairs of columns",
    "three-way": "marginals of all pairs of columns, and of the triples that say more than pairs",
    "gan": "discriminators, and marginals of single columns",
}
OF_HISTORIES = "marginals of pairs over persons, over events and from one event to later ones"
ACCURACY = "an estimate, good to about a factor of two; other programs make it longer"


def method_of(plan: Plan) -> Variant:
    """What the plan spends its budget on."""
    pairs = any(step.purpose == "marginals" for step in plan.measure)
    if plan.discriminator is None:
        return "three-way" if plan.screens else "marginals"
    if plan.listening is not None:
        return "listen"
    return "both" if pairs else "gan"


def reason(plan: Plan) -> str:
    """What `auto` decides for such a plan, and why."""
    if plan.table.histories is not None:
        return (
            "auto takes marginals for histories: discriminators gain little, and only at a large ε, in "
            "several times the seconds (--variant both)"
        )
    if plan.cohort is not None:
        return "auto takes marginals for a cohort, because the next study adds to its counts"
    if any(step.by_site for step in plan.measure):
        return "auto takes marginals where each site's own are asked for as well"
    facts = plan.table, len(plan.sites), plan.noise_shares, plan.records_per_site
    known = f"with ε {plan.epsilon:g} and about {plan.records_per_site:,} records a site"
    if screening_pays(*facts, plan.epsilon, plan.delta):
        return f"auto takes three-way: {known}, triples of columns can be told from noise"
    return f"auto takes marginals: {known}, triples of columns cannot be told from noise"


def duration_of(plan: Plan, settings: TrainingSettings) -> Duration:
    """About how long the plan will compute here, by a probe of a second or two."""
    if plan.table.histories is not None:
        return estimated_of_histories(plan, settings)
    return estimated(plan, settings)


def coordinator_lines(plan: Plan, duration: Duration) -> list[str]:
    """Method and time of a study whose sites compute elsewhere."""
    here, site = spoken(duration.here()), spoken(duration.site)
    times = f"{here} at the coordinator and {site} at each site, on computers like this one"
    return [*_method(plan), f"time    {times}", f"        {ACCURACY}"]


def simulation_lines(plan: Plan, duration: Duration) -> list[str]:
    """The same where this computer does the work of all sites too."""
    sites, d = len(plan.sites), duration
    times = f"{spoken(d.here(sites))} on this computer"
    if plan.discriminator is not None:
        times += f", of which {spoken(d.rounds + sites * d.site)} for the discriminators"
    return [*_method(plan), f"time    {times}", f"        {ACCURACY}"]


def _method(plan: Plan) -> list[str]:
    name = NAMES[method_of(plan)]
    if plan.table.histories is not None:
        name = OF_HISTORIES + (", and discriminators" if plan.discriminator else "")
    return [f"method  {name}", f"        {reason(plan)}"]
