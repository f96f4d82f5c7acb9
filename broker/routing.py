"""Which backend serves a user, a host and a path."""

import re
from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from broker.errors import BackendOffline, UnknownBackend
from broker.hosts import closest_fit, fit_of
from broker.model import ALL_USERS, Backend, BackendStatus
from broker.policy import Policy
from wire.protocol import BackendId

_ANYBODY: Final = frozenset((ALL_USERS,))

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

# "..", plain or percent-encoded, as a whole segment. Some backends read a backslash as a slash, and cut a segment at
# ";" (path parameters: "/..;/" climbs in servlet containers) or the whole path at "#" or NUL.
_BOUNDARY = r"/|\\|%2f|%5c"
_CLIMB = re.compile(rf"(?i)(?:{_BOUNDARY})(?:\.|%2e){{2}}(?=$|{_BOUNDARY}|;|%3b|#|%23|%00)")


def path_of(target: str) -> str:
    """The raw path of a request target, never decoded: what is routed is byte for byte what is forwarded."""
    return target.partition("?")[0]


def serves_path(prefix: str, path: str) -> bool:
    """True when `path` lies under `prefix`, segment by segment: `/foo` and `/foo/` serve `/foo` and `/foo/x`, not
    `/foobar`.

    A path that climbs lies under no prefix but the root: the backend may resolve it to somewhere else.
    """
    stem = prefix.rstrip("/")
    if not stem:
        return True
    return (path == stem or path.startswith(stem + "/")) and not _CLIMB.search(path)


def is_online(status: BackendStatus | None, *, now: datetime, policy: Policy) -> bool:
    """True when an agent has asked for this backend's requests lately."""
    return status is not None and status.last_polled is not None and now - status.last_polled <= policy.backend_online


def end_users_serving(user: str) -> frozenset[str]:
    """The end users of the backends that serve a user: he himself in lower case, as addresses are registered, or in his
    own spelling; all users of his domain (`@example.org`); and all users. For nobody in particular, only the last."""
    return frozenset((user, user.lower(), *_domain_of(user), ALL_USERS)) if user else _ANYBODY


def _domain_of(user: str) -> tuple[str, ...]:
    name, at, domain = user.lower().rpartition("@")
    return (f"@{domain}",) if name and at else ()


def find_candidates(
    backends: Iterable[Backend], *, user: str, host: str, path: str, named: Container[str] = ()
) -> list[Backend]:
    """The backends registered for a user and a path, online or not, whose hosts fit `host` (of `hosts.host_of`) most
    closely, and no others. What is meant for one host, its cookies among it, goes to no backend of a wider choice: not
    while those of that host are offline, nor where others have it. Hosts that are `named` are somebody's."""
    end_users = end_users_serving(user)
    fitting: dict[int, list[Backend]] = {}
    for backend in backends:
        fit = fit_of(backend.hosts, host)
        serves = any(serves_path(prefix, path) for prefix in backend.path_prefixes)
        if fit is not None and serves and backend.end_user in end_users:
            fitting.setdefault(fit, []).append(backend)
    return fitting.get(max((closest_fit(named, host), *fitting)), [])


def choose_backend(
    candidates: Iterable[Backend],
    statuses: Mapping[BackendId, BackendStatus],
    *,
    path: str,
    now: datetime,
    policy: Policy,
) -> Backend:
    """Of the candidates that are online: the user's own before those of his domain and these before those of all users,
    then the longest prefix, then the one polled last.

    Raises `UnknownBackend` when there is no candidate, `BackendOffline` when none of them is online.
    """
    candidates = list(candidates)
    if not candidates:
        raise UnknownBackend("no backend is registered for this user, host and path")
    online = [backend for backend in candidates if is_online(statuses.get(backend.backend_id), now=now, policy=policy)]
    if not online:
        names = ", ".join(sorted(backend.backend_id for backend in candidates))
        raise BackendOffline(f"no agent is connected for: {names}")

    if len(online) == 1:
        return online[0]

    def preference(backend: Backend) -> tuple[int, int, datetime, str]:
        longest = max(len(prefix.rstrip("/")) for prefix in backend.path_prefixes if serves_path(prefix, path))
        polled = statuses[backend.backend_id].last_polled or _NEVER
        return _closeness(backend.end_user), longest, polled, backend.backend_id

    return max(online, key=preference)


def _closeness(end_user: str) -> int:
    """One user before a domain, a domain before all."""
    if end_user == ALL_USERS:
        return 0
    return 1 if end_user.startswith("@") else 2
