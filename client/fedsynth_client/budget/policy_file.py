"""The policy in force: the file is read again before every answer of the vault.

So an approval, a withdrawn approval and a lower cap hold from the next request on, without a restart. A
policy that cannot be used while the vault runs allows nothing (fail closed). The coordinator is then
told ERR_UNAVAILABLE, and asks again later: an editor that has written half of the file, or a typing
error that is soon corrected, does not end a study.

`dataset` names the people whom the open ledger counts for. A vault cannot change it while it runs.
"""

import os
import stat
from pathlib import Path

from fedsynth_client.budget.policy import Policy
from fedsynth_client.refused import RefusedError
from fedsynth_common.errors import ErrorCode, InputError


class PolicyFile:
    """A policy that is read again whenever its file has changed."""

    def __init__(self, path: Path) -> None:
        """Read the policy at `path` for the first time.

        Raises:
            InputError: the file is missing or unreadable, or naming every faulty field.
        """
        self._path = path
        self._content = b""
        self._policy = Policy.load(path)
        self._dataset = self._policy.dataset

    def current(self) -> Policy:
        """The policy as the file states it now.

        Raises:
            RefusedError: ERR_UNAVAILABLE, with the reason for the site's log.
        """
        try:
            with self._path.open("rb") as file:
                others_write = os.fstat(file.fileno()).st_mode & stat.S_IWOTH
                content = file.read()
        except OSError as error:
            raise _unusable(f"policy {self._path}: cannot be read ({error.strerror})") from None
        if others_write:
            raise _unusable(
                f"policy {self._path}: everybody may write to it; close it with: chmod o-w"
            )
        if content != self._content:
            self._policy, self._content = self._read(), content
        return self._policy

    def _read(self) -> Policy:
        try:
            policy = Policy.load(self._path)
        except InputError as error:
            raise _unusable(str(error)) from None
        if policy.dataset != self._dataset:
            raise _unusable(
                f"policy {self._path}: names another dataset than when the vault started; undo this, "
                "or start the vault again"
            )
        return policy


def _unusable(words: str) -> RefusedError:
    return RefusedError(ErrorCode.UNAVAILABLE, words)
