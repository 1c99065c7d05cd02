"""Says how much of a site's computer a plan may use, for the person who approves it.

The lines follow from the plan and from the public limits of every request, so they are upper bounds.
Most requests use a small part of them. Nothing here looks at a record.
"""

from fedsynth_common.limits import (
    LARGEST_REQUEST_BYTES,
    MAX_CELLS,
    MAX_MESSAGE_BYTES,
    MAX_PARAMETERS,
    MIB,
    printable,
)
from fedsynth_common.protocol.plan import DiscriminatorPlan, Plan
from fedsynth_common.schema import Schema, domains

Line = tuple[str, str]
"""One line: the name of a resource, and how much of it the plan may use."""


def resources(plan: Plan) -> list[Line]:
    """The lines, in the order in which the steps run."""
    lines = []
    measures = len(plan.measure) + (plan.listening is not None)
    if measures:
        asked = f"{measures} requests, each for at most {MAX_CELLS:,} noisy counts"
        lines.append(("counts", asked))
    if plan.discriminator:
        lines += _training(plan.discriminator, plan.table)
    lines.append(("messages", f"at most {MAX_MESSAGE_BYTES // MIB} MiB each, either way"))
    memory = f"at most {LARGEST_REQUEST_BYTES // MIB:,} MiB for a request, besides the records"
    return [*lines, ("memory", memory), ("disk", _kept(plan))]


def _kept(plan: Plan) -> str:
    """The size of the replies. The ledger keeps them, so that a repeated request computes nothing."""
    size = 4 * MAX_CELLS * (len(plan.measure) + (plan.listening is not None))
    if training := plan.discriminator:
        width = sum(domain.width for domain in domains(plan.table))
        size += 12 * min(training.parameters(width), MAX_PARAMETERS) * training.messages
    return f"at most {-(-size // MIB):,} MiB of replies, which the ledger keeps"


def _training(training: DiscriminatorPlan, table: Schema) -> list[Line]:
    columns = [domain.width for domain in domains(table)]
    count = training.parameters(sum(columns))
    fewer = "fewer where the study merges codes"
    size = f"up to {count:,} parameters, {fewer}"
    if count > MAX_PARAMETERS:
        size = f"up to {MAX_PARAMETERS:,} parameters: requests for more are refused"
    hidden = printable(", ".join(f"{width:,}" for width in training.hidden))
    layers = "hidden layer" if len(training.hidden) == 1 else "hidden layers"
    predicted = min(training.masked_columns, len(columns))
    each = training.steps_per_message
    steps = training.messages * each
    drawn = f"about {training.sampling_rate:.1%} of the records or persons"
    return [
        ("network", f"{len(training.hidden)} {layers} of {hidden}; {size}"),
        (
            "training",
            f"{training.messages:,} messages of {each:,} step{'s' if each > 1 else ''}, {steps:,} steps "
            f"in all; each looks at {drawn}",
        ),
        ("predicts", f"{predicted} of the {len(columns)} columns of every record it looks at"),
    ]
