"""Checks requests that came over the network, and gives them types, before a record is touched.

The vault trusts nothing that it is sent. Every index, width, length and magnitude is checked against
the schema and the accepted plan. A request that passes can be computed without any further condition
on its content, its memory is bounded by public numbers (`fedsynth_common.limits`), and its reply can
be delivered. A request that does not pass is refused with a code and without a text.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy
from fedsynth_client.refused import RefusedError
from fedsynth_client.vault.admission import not_approved
from fedsynth_client.vault.assignment import Assignment, within_bounds
from fedsynth_client.vault.measure import Axis, Marginal, Measurement
from fedsynth_client.vault.templates import is_repeated
from fedsynth_common.array_types import UInt16Array
from fedsynth_common.errors import ErrorCode, InputError, RefusalError
from fedsynth_common.limits import (
    AXES_PER_COLUMN,
    MAX_CELLS,
    MAX_MARGINALS,
    MAX_MECHANISMS_ASKED,
    MAX_PARAMETERS,
    MAX_VARIANCES,
)
from fedsynth_common.networks.event_windows import windows_of
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import (
    MOMENT_LIMIT,
    WEIGHT_LIMIT,
    unpack_floats,
    unpack_view,
)
from fedsynth_common.protocol.counting import Over, noise_multiplier, sensitivity
from fedsynth_common.protocol.plan import DiscriminatorPlan, Plan
from fedsynth_common.schema import Schema, domains, history_schema


def plan_of(request: pb.EnrollRequest, policy: Policy, ledger: Ledger) -> Plan:
    """The plan of an enrolment.

    A plan that nobody approved, and that repeats no approved one, is not parsed, because checking its
    rules could take hours.

    Raises:
        RefusalError: ERR_VERSION for another protocol, ERR_PLAN for anything but a valid plan that
            the policy approves.
    """
    if request.protocol_version != PROTOCOL_VERSION:
        theirs = f"the coordinator speaks protocol {request.protocol_version:d}"
        words = f"{theirs}, this vault protocol {PROTOCOL_VERSION}"
        raise RefusedError(ErrorCode.VERSION, words)
    digest = hashlib.sha256(request.plan_json).hexdigest()
    if not policy.approves(digest) and not is_repeated(request.plan_json, policy, ledger):
        raise RefusedError(ErrorCode.PLAN, not_approved(digest))
    try:
        return Plan.from_json(request.plan_json)
    except InputError:
        raise RefusalError(ErrorCode.PLAN) from None


def measurement_of(request: pb.MeasureRequest, plan: Plan, schema: Schema) -> Measurement:
    """The marginals of a measure request.

    Raises:
        RefusalError: ERR_PLAN for a step that the plan does not have, ERR_POLICY for less noise
            than the plan's, ERR_PAYLOAD for anything malformed or beyond the public limits.
    """
    step = plan.measure_step(request.step)
    if step is None:
        raise RefusalError(ErrorCode.PLAN)
    if bool(request.parties) != plan.summed(request.step):
        raise RefusalError(ErrorCode.PAYLOAD)
    widths = [domain.width for domain in domains(history_schema(schema))]
    _bound_marginals(request.marginals, len(widths))
    views = _views(request, widths)
    marginals = tuple(_marginal(marginal, widths, views) for marginal in request.marginals)
    if sum(marginal.cells for marginal in marginals) > MAX_CELLS:
        raise RefusalError(ErrorCode.PAYLOAD)
    variances = [marginal.variance for marginal in marginals]
    moved = [_sensitivity(schema, marginal) for marginal in marginals]
    most = MAX_VARIANCES if schema.histories is None else MAX_MECHANISMS_ASKED
    if len(set(zip(variances, moved, strict=True))) > most:
        raise RefusalError(ErrorCode.PAYLOAD)
    if noise_multiplier(variances, moved) < step.noise_multiplier * (1 - 1e-9):
        raise RefusalError(ErrorCode.POLICY)
    if step.step in plan.chosen_steps and len(set(variances)) > 1:  # a choice prices one mechanism
        raise RefusalError(ErrorCode.PAYLOAD)
    return Measurement(views, marginals)


def _sensitivity(schema: Schema, marginal: Marginal) -> int:
    try:
        return sensitivity(schema, marginal.over, marginal.lag, marginal.weight)
    except ValueError:  # the table has no such marginals
        raise RefusalError(ErrorCode.PAYLOAD) from None


def _bound_marginals(marginals: Sequence[pb.Marginal], columns: int) -> None:
    """Refuse a request with more marginals, or a marginal with more axes, than the limits allow."""
    if not 1 <= len(marginals) <= MAX_MARGINALS or any(len(m.axes) > 3 for m in marginals):
        raise RefusalError(ErrorCode.PAYLOAD)
    axes = {(axis.column, axis.view) for marginal in marginals for axis in marginal.axes}
    if len(axes) > AXES_PER_COLUMN * columns:
        raise RefusalError(ErrorCode.PAYLOAD)


def _views(request: pb.MeasureRequest, widths: Sequence[int]) -> tuple[UInt16Array, ...]:
    """The views, each checked against the fine domain of the column that it is used on."""
    used: dict[int, set[int]] = {}
    for axis in (axis for marginal in request.marginals for axis in marginal.axes):
        if axis.column >= len(widths) or not -1 <= axis.view < len(request.views):
            raise RefusalError(ErrorCode.PAYLOAD)
        used.setdefault(axis.view, set()).add(widths[axis.column])
    used.pop(-1, None)
    if len(used) != len(request.views) or any(len(fine) != 1 for fine in used.values()):
        raise RefusalError(ErrorCode.PAYLOAD)
    return tuple(unpack_view(view, *used[k]) for k, view in enumerate(request.views))


def _marginal(
    marginal: pb.Marginal, widths: Sequence[int], views: Sequence[UInt16Array]
) -> Marginal:
    columns = [(axis.column, axis.at) for axis in marginal.axes]
    if not 1 <= len(columns) <= 3 or len(set(columns)) != len(columns):
        raise RefusalError(ErrorCode.PAYLOAD)
    if int(marginal.over) not in set(map(int, Over)):
        raise RefusalError(ErrorCode.PAYLOAD)
    over = Over(int(marginal.over))
    events = 2 if over in (Over.PERSONS, Over.NEXT) else 1
    if any(axis.at >= events for axis in marginal.axes):
        raise RefusalError(ErrorCode.PAYLOAD)
    if not 1 <= marginal.noise_variance <= 10**10:
        raise RefusalError(ErrorCode.PAYLOAD)
    axes = tuple(
        Axis(axis.column, widths[axis.column], at=axis.at)
        if axis.view == -1
        else Axis(axis.column, _groups(views[axis.view]), axis.view, axis.at)
        for axis in marginal.axes
    )
    return Marginal(axes, marginal.noise_variance, over, marginal.lag, marginal.weight or 1)


def _groups(view: UInt16Array) -> int:
    return int(view.max(initial=0)) + 1


def assignment_of(request: pb.DiscriminateRequest, plan: Plan, schema: Schema) -> Assignment:
    """The DP-SGD steps of a request for training. All privacy parameters are those of the plan.

    Raises:
        RefusalError: ERR_PLAN for a step that the plan does not have; ERR_PAYLOAD for wrong
            lengths, for weights that are not finite, too large or without a bound on their
            rounding, for a request that needs more memory than a site has, and for one with parties
            where the plan has no secure sum, or without them where it has one.
    """
    training = plan.discriminator
    if training is None or request.step not in training.steps:
        raise RefusalError(ErrorCode.PLAN)
    flat, summed = history_schema(schema), plan.summed(request.step)
    fine = [domain.width for domain in domains(flat)]
    if len(request.views) != len(fine) or bool(request.parties) != summed:
        raise RefusalError(ErrorCode.PAYLOAD)
    views = tuple(unpack_view(v, width) for v, width in zip(request.views, fine, strict=True))
    widths = tuple(_groups(view) for view in views)
    windows = None if schema.histories is None else windows_of(schema, widths)
    widths = widths if windows is None else windows.widths
    size = parameter_count(widths, training)
    moments = unpack_floats(request.moments, 0 if summed else 2 * size, MOMENT_LIMIT)
    order = Assignment(
        plan=training,
        views=views,
        widths=widths,
        weights=unpack_floats(request.weights, size, WEIGHT_LIMIT),
        moments=np.zeros(2 * size, np.float32) if summed else moments,
        message=request.step - training.first_step,
        rows_per_person=schema.rows_per_person,
        windows=windows,
    )
    if not within_bounds(order):
        raise RefusalError(ErrorCode.PAYLOAD)
    return order


def parameter_count(widths: Sequence[int], training: DiscriminatorPlan) -> int:
    """The number of parameters of the discriminator, before it is built.

    Raises:
        RefusalError: ERR_PAYLOAD if there are more than a reply can hold.
    """
    count = training.parameters(sum(widths))
    if count > MAX_PARAMETERS:
        raise RefusalError(ErrorCode.PAYLOAD)
    return count
