"""What a result tells of itself in a line or two: at the prompt and in a notebook."""

from fedsynth.display import Facts
from fedsynth_common.schema import Schema
from fedsynth_release.statement import PrivacyStatement

NEXT = ".sample(n)  .report()  .evaluate(real)  .save(folder)"


def facts(schema: Schema, statement: PrivacyStatement, rows: int | None) -> tuple[str, Facts]:
    """A title, and what to know; `rows` is the noisy number of records, or of persons."""
    unit = "person" if statement.rows_per_person else "record"
    cost = f"ε = {statement.epsilon_if_people_are_at_one_site_only:.4f} at δ = {statement.delta:g}"
    cost += f" protects a {unit}"
    if (alone := statement.epsilon_if_all_others_work_together) is not None:
        cost += f"; ε = {alone:.4f} if all other sites work together against one"
    told = [("private", "yes" if statement.private else "NO")]
    told += [("because", caveat.removeprefix("not private: ")) for caveat in statement.caveats]
    columns = f"{len(schema.columns)}, {len(schema.modelled)} modelled"
    told += [("privacy", cost), ("sites", str(len(statement.sites))), ("columns", columns)]
    if schema.target is not None:
        told.append(("target", schema.target))
    if rows is not None:
        what = "persons" if schema.histories else "records"
        told.append((what, f"about {rows:,} at all sites, by noisy counts"))
    return f"fedsynth result: a generator of {schema.name}", [*told, ("next", NEXT)]
