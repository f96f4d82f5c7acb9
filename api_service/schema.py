"""JSON ⇄ backends, with the field names of the original and ours. Says of every field what is wrong with it."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from api_service.fields import FIELDS
from broker.hosts import pattern_of
from broker.model import ALL_USERS, Backend, Options, Sharing
from wire.protocol import BackendId

_NEVER_USED: Final = "1970-01-01T00:00:00Z"
"""What the original says of a backend that no request was sent to."""


class InvalidBackend(ValueError):
    """JSON that is no backend; `problems` has one line for each field that is wrong."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def decode_backend(body: bytes, *, has_options: bool = True) -> Backend:
    """A backend from a JSON object; `lastUsed` is allowed, so that what was listed can be put back, and ignored. Raises
    `InvalidBackend`."""
    try:
        decoded: object = json.loads(body, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as exc:
        raise InvalidBackend(f"the body is not JSON: {exc}") from exc
    if not isinstance(decoded, dict):
        raise InvalidBackend("the body is not a JSON object")
    decoded.pop("lastUsed", None)
    return make_backend(decoded, has_options=has_options)


def make_backend(fields: Mapping[str, Any], *, has_options: bool = True, spell: Callable[[str], str] = str) -> Backend:
    """A backend from fields by their names in JSON, its addresses and hosts in the spelling in which they are looked
    for. `spell` gives the names that the caller knows them by. Raises `InvalidBackend`."""
    problems = [
        f"{spell(name)}: {problem}" for name in FIELDS if (problem := _problem(name, fields, has_options=has_options))
    ]
    problems += [f"{spell(name)[:80]!r}: not a field of a backend" for name in fields if name not in FIELDS]
    if problems:
        raise InvalidBackend(*problems)
    end_user: str = fields["endUser"]
    return Backend(
        backend_id=BackendId(fields["id"]),
        backend_user=fields["backendUser"].lower(),
        end_user=end_user if end_user == ALL_USERS else end_user.lower(),
        path_prefixes=tuple(fields.get("pathPrefixes", ("/",))),
        hosts=tuple(pattern_of(host) or "" for host in fields.get("hosts", ())),
        options=Options(
            agents=Sharing(fields.get("agents", Sharing.PULL)),
            max_exchanges=fields.get("maxExchanges"),
            max_queue=fields.get("maxQueue"),
            shim_path=fields.get("shimPath", "").strip("/"),
        ),
    )


def encode_backend(backend: Backend, last_used: datetime | None) -> dict[str, object]:
    """A backend as a JSON object: the original's fields, and of ours those that were given. What is stored is shown as
    it is, also where it could not be registered today."""
    options = backend.options
    ours = {
        "hosts": list(backend.hosts),
        "agents": options.agents.value if options.agents is not Sharing.PULL else "",
        "maxExchanges": options.max_exchanges,
        "maxQueue": options.max_queue,
        "shimPath": options.shim_path,
    }
    return {
        "id": backend.backend_id,
        "endUser": backend.end_user,
        "backendUser": backend.backend_user,
        "pathPrefixes": list(backend.path_prefixes),
        **{name: value for name, value in ours.items() if value},
        "lastUsed": last_used.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if last_used else _NEVER_USED,
    }


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"repeated: {', '.join(sorted(repeated))}")
    return dict(pairs)


def _problem(name: str, fields: Mapping[str, object], *, has_options: bool) -> str:
    field = FIELDS[name]
    if name not in fields:
        return "missing" if field.is_required else ""
    if field.is_option and not has_options:
        return "the stand-alone proxy alone has this"
    return "" if field.is_valid(fields[name]) else f"must be {field.wanted}"
