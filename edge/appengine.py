"""Identity by App Engine: its Users API for browsers, its OAuth API for agents and administrators.

The only module that knows App Engine's SDK, which is slow to import: only composition roots import this one, and only
where it is wanted. The SDK's own wrapper of WSGI applications is not used: it collects whole bodies
(`WaitForResponseMiddleware`), replaces `os.environ`, and loads `threading` anew. A look-up runs in the same context
that the wrapper would make for a request.
"""

import contextvars
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, TypeVar

from google.appengine.api import oauth, users
from google.appengine.runtime import apiproxy_errors, context, default_api_stub

from broker.errors import NotAllowed, StoreUnavailable
from broker.waiting import Clock
from edge.identity import Caller, bearer_token, require_admin
from wire.headers import Headers

T = TypeVar("T")

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
"""What `gcloud auth print-access-token` gives, and what the original's agents ask for."""

_KEPT_FOR: Final = timedelta(minutes=1)
_REFUSAL_KEPT_FOR: Final = timedelta(seconds=10)
_MAX_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class _Account:
    """What App Engine says of an access token."""

    email: str
    is_admin: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    account: _Account | None
    until: datetime


class AppEngineIdentity:
    """Identity as App Engine vouches for it.

    Answers about access tokens are kept for a minute by the token's hash, refusals for less: an agent that polls would
    otherwise cost a call each time. An administrator is one of the project's (to App Engine, that is any of its
    viewers, editors and owners) and, where `admins` is not empty, one of these too.
    """

    def __init__(self, clock: Clock, *, admins: Collection[str]) -> None:
        self._clock = clock
        self._admins = frozenset(admin.lower() for admin in admins)
        self._lock = Lock()  # guards `_answers`; never held during a call
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        # As READ_GAE_CONTEXT_FROM_OS_ENVIRON=false: a request's data in context variables, which threads do not share.
        context.READ_FROM_OS_ENVIRON = False
        default_api_stub.Register(default_api_stub.DefaultApiStub())

    def end_user(self, caller: Caller) -> str:
        user = _in_request_context(caller.headers, users.get_current_user)
        return str(user.email()) if user else ""

    def backend_account(self, caller: Caller) -> str:
        return self._account(caller.headers).email

    def admin(self, caller: Caller) -> str:
        account = self._account(caller.headers)
        if not account.is_admin:
            raise NotAllowed(f"{account.email} is not an administrator of this project", authenticated=True)
        return require_admin(account.email, self._admins) if self._admins else account.email

    def _account(self, headers: Headers) -> _Account:
        key = hashlib.sha256(bearer_token(headers).encode("latin-1")).digest()
        now = self._clock.now()
        with self._lock:
            answer = self._answers.get(key)
        if answer is None or answer.until <= now:
            account = _in_request_context(headers, _ask)
            answer = _Answer(account, now + (_KEPT_FOR if account else _REFUSAL_KEPT_FOR))
            self._keep(key, answer)
        if answer.account is None:
            raise NotAllowed("the access token is not valid, or lacks the scope cloud-platform", authenticated=False)
        return answer.account

    def _keep(self, key: bytes, answer: _Answer) -> None:
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > _MAX_KEPT:
                self._answers.popitem(last=False)


def _ask() -> _Account | None:
    """Who sent this request's access token; None when the token is not good. Call it within a request's context."""
    try:
        return _Account(oauth.get_current_user(SCOPE).email(), bool(oauth.is_current_user_admin(SCOPE)))
    except oauth.OAuthRequestError:
        return None
    except (oauth.OAuthServiceFailureError, apiproxy_errors.Error) as exc:
        raise StoreUnavailable(f"App Engine's OAuth API: {exc}") from exc


def _in_request_context(headers: Headers, look_up: Callable[[], T]) -> T:
    """Run a look-up with what the platform said of this request, the ticket for its calls included."""
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers}

    def run() -> T:
        context.init_from_wsgi_environ(environ)
        default_api_stub.DefaultApiStub.SetUseRequestSecurityTicketForThread(True)
        try:
            return look_up()
        finally:
            default_api_stub.DefaultApiStub.SetUseRequestSecurityTicketForThread(False)

    return contextvars.copy_context().run(run)
