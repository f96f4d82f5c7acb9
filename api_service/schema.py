"""JSON ⇄ backends, with the five field names of the original. Says of every field what is wrong with it."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from broker.model import ALL_USERS, Backend
from edge.identity import is_account, is_email
from wire.protocol import BackendId, is_valid_backend_id

_NEVER_USED: Final = "1970-01-01T00:00:00Z"
"""What the original says of a backend that no request was sent to."""

_MAX_PREFIXES: Final = 100
_MAX_PREFIX_LENGTH: Final = 1000


class InvalidBackend(ValueError):
    """JSON that is no backend; `problems` has one line for each field that is wrong."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def decode_backend(body: bytes) -> Backend:
    """A backend from a JSON object, its addresses in lower case, as they are looked for. `lastUsed` is allowed, so that
    what was listed can be put back, and ignored. Raises `InvalidBackend`."""
    try:
        decoded: object = json.loads(body, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as exc:
        raise InvalidBackend(f"the body is not JSON: {exc}") from exc
    if not isinstance(decoded, dict):
        raise InvalidBackend("the body is not a JSON object")
    problems = [_problem(name, decoded) for name in _CHECKS]
    problems += [f"{name[:80]!r}: not a field of a backend" for name in decoded if name not in (*_CHECKS, "lastUsed")]
    if found := [problem for problem in problems if problem]:
        raise InvalidBackend(*found)
    end_user: str = decoded["endUser"]
    return Backend(
        backend_id=BackendId(decoded["id"]),
        backend_user=decoded["backendUser"].lower(),
        end_user=end_user if end_user == ALL_USERS else end_user.lower(),
        path_prefixes=tuple(decoded["pathPrefixes"]),
    )


def encode_backend(backend: Backend, last_used: datetime | None) -> dict[str, object]:
    """A backend as a JSON object. What is stored is shown as it is, also where it could not be registered today."""
    return {
        "id": backend.backend_id,
        "endUser": backend.end_user,
        "backendUser": backend.backend_user,
        "pathPrefixes": list(backend.path_prefixes),
        "lastUsed": last_used.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if last_used else _NEVER_USED,
    }


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"repeated: {', '.join(sorted(repeated))}")
    return dict(pairs)


def _problem(name: str, decoded: Mapping[str, object]) -> str:
    if name not in decoded:
        return f"{name}: missing"
    is_valid, wanted = _CHECKS[name]
    return "" if is_valid(decoded[name]) else f"{name}: must be {wanted}"


def _is_address(value: object) -> bool:
    return isinstance(value, str) and is_email(value)


def _is_account(value: object) -> bool:
    return isinstance(value, str) and is_account(value)


def _is_prefix(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.startswith("/")
        and len(value) <= _MAX_PREFIX_LENGTH
        and all("!" <= character <= "~" and character not in "?#" for character in value)
        and not {".", ".."} & set(value.split("/"))
    )


def _are_prefixes(value: object) -> bool:
    return isinstance(value, list) and 0 < len(value) <= _MAX_PREFIXES and all(_is_prefix(item) for item in value)


_CHECKS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "id": (
        lambda value: isinstance(value, str) and is_valid_backend_id(value),
        "1 to 256 letters, digits or any of ._~@:+=,- and begin with a letter or a digit",
    ),
    "endUser": (lambda value: value == ALL_USERS or _is_address(value), f"an e-mail address, or {ALL_USERS!r}"),
    "backendUser": (
        _is_account,
        "the account that runs the agent: its e-mail address, or its name in a list of tokens",
    ),
    "pathPrefixes": (
        _are_prefixes,
        'a list of paths as they stand in URLs, each beginning with "/" and without "?", "#", "." and ".." segments; '
        '["/"] for all',
    ),
}
