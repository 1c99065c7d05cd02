"""The courier of a site in a FLARE network: an Executor that carries bytes to the vault and back.

A FLARE server may name any class that a site allows, with arguments of its choice, in the job that
it ships. So this one takes no argument, and where the vault is comes from the environment of the
site's own FLARE client (`carrying.SOCKET`).
"""

from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from fedsynth_client.vault.callers import REPLIES
from fedsynth_flare import BODY, TASK_PREFIX
from fedsynth_flare.carrying import carried


class VaultExecutor(Executor):  # type: ignore[misc]  # nvflare has no types
    """Answers the tasks `fedsynth.METHOD` of a job, and no other."""

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        """Carry one message to the vault and its reply back."""
        method = task_name.removeprefix(TASK_PREFIX)
        if not task_name.startswith(TASK_PREFIX) or method not in REPLIES:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        answer = make_reply(ReturnCode.OK)
        answer[BODY] = carried(method, shareable.get(BODY), fl_ctx.get_identity_name())
        return answer
