"""Whoever a test says is calling."""

from broker.errors import NotAllowed
from edge.identity import Caller


class FakeIdentity:
    """An `edge.identity.Identity`: the same callers for every request, or an error for all of them.

    `account` and `admin_account` None stand for a caller without credentials.
    """

    def __init__(
        self,
        *,
        user: str = "",
        account: str | None = None,
        admin_account: str | None = None,
        error: Exception | None = None,
    ) -> None:
        self.user = user
        self.account = account
        self.admin_account = admin_account
        self.error = error

    def end_user(self, caller: Caller) -> str:
        """The user. Raises `error`."""
        if self.error is not None:
            raise self.error
        return self.user

    def backend_account(self, caller: Caller) -> str:
        """The agent's account. Raises `error`, and `NotAllowed` without one."""
        return self._known(self.account)

    def admin(self, caller: Caller) -> str:
        """The administrator. Raises `error`, and `NotAllowed` without one."""
        return self._known(self.admin_account)

    def _known(self, account: str | None) -> str:
        if self.error is not None:
            raise self.error
        if account is None:
            raise NotAllowed("no credentials", authenticated=False)
        return account
