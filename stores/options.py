"""The options of a backend as a text, for stores whose records are older than they are."""

import json
from collections.abc import Mapping
from typing import Final

from broker.model import Options, Sharing

_NONE: Final = Options()


def encode_options(options: Options) -> str:
    """A JSON object of those that were chosen; empty where none was."""
    chosen = {
        "agents": options.agents.value if options.agents is not _NONE.agents else None,
        "maxExchanges": options.max_exchanges,
        "maxQueue": options.max_queue,
        "shimPath": options.shim_path or None,
    }
    chosen = {name: value for name, value in chosen.items() if value is not None}
    return json.dumps(chosen) if chosen else ""


def decode_options(text: str) -> Options:
    """What `encode_options` wrote; of a later version's, what is known here."""
    chosen: Mapping[str, object] = json.loads(text) if text else {}
    known = {each.value: each for each in Sharing}
    return Options(
        agents=known.get(str(chosen.get("agents")), _NONE.agents),
        max_exchanges=_number(chosen.get("maxExchanges")),
        max_queue=_number(chosen.get("maxQueue")),
        shim_path=str(chosen.get("shimPath", "")),
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
