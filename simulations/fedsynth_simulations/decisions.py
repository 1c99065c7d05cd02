"""What `fedsynth simulate` decided for its user, and the option that decides it otherwise.

Only what the user left open is listed, so that nobody has to read what they wrote themselves.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from fedsynth_common.protocol.plan import Plan
    from fedsynth_simulations.site_tables import Tables


class Decision(NamedTuple):
    """One thing that was decided: what it is about, what was decided, and how to change it."""

    about: str
    decided: str
    option: str


def decisions(given: Collection[str], tables: "Tables", plan: "Plan") -> list[Decision]:
    """What was decided, in the order in which it matters.

    Args:
        given: the names of the parameters that the user gave.
        tables: the records of the sites, and the schema.
        plan: what the sites agree to.
    """
    schema, count = tables.schema, len(plan.sites)
    made: list[Decision] = []

    def tell(left_open: str, about: str, decided: str, options: str | None = None) -> None:
        option = options or f"--{left_open.replace('_', '-')}"
        if left_open not in given:
            made.append(Decision(about, decided, option))

    listed = f"{len(schema.modelled)} of {len(schema.columns)} columns to model"
    tell("schema", "schema", f"drafted, {listed}")
    if schema.person_key is None and "schema" not in given:
        tell("person_key", "protected", "one record")
    if "site_column" not in given:
        dealt = "with all records" if count == 1 else "dealt out at random"
        tell("sites", "sites", f"{count}, {dealt}", "--sites, --site-column")
    if schema.target is None:
        tell("target", "target", "none")
    tell("epsilon", "ε", f"{plan.epsilon:g} for a site's records")
    size = f"about {plan.records_per_site:,}, from the records"
    tell("records_per_site", "size of a site", size)
    tell("holdout", "hold-out", "none, so nothing is judged")
    tell("rows", "synthetic rows", "about as many as the sites have")
    return made


def show_decisions(made: list[Decision], console: Console) -> None:
    """Print what was decided; nothing where the user decided everything."""
    if not made:
        return
    grid = Table.grid(padding=(0, 2))
    for decision in made:
        grid.add_row(Text(decision.about), Text(decision.decided), Text(decision.option))
    console.print("decided for you, and the option that changes it:", highlight=False)
    console.print(grid)
