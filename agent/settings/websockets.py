"""The flags about websockets: the shim that carries them over ordinary requests."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agent.commandline.flags import Flag, FlagError
from agent.commandline.parsing import boolean, duration
from agent.settings.group import Group


@dataclass(frozen=True, slots=True)
class WebsocketSettings(Group):
    """What the agent was told about websockets."""

    shim_websockets: bool
    """Put the shim's script into pages."""
    shim_path: str
    """Where the shim listens, without slashes around it; empty for no shim."""
    websocket_shim_timeout: timedelta
    enable_websockets_injection: bool
    rewrite_websocket_host: bool

    def check(self) -> None:
        if self.shim_websockets and not self.shim_path:
            raise FlagError("--shim-websockets is given: expected --shim-path with it, a path that the backend leaves")
        if self.shim_path and not self.websocket_shim_timeout:
            raise FlagError("--websocket-shim-timeout is '0': expected a duration, because every wait has an end")


def _parse_path(text: str) -> str:
    path = text.strip("/")
    if path and not re.fullmatch(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("not a path")
    return path


FLAGS: Final = (
    boolean("shim-websockets", "Put a script into HTML pages that carries their websockets over ordinary requests."),
    Flag(
        "shim-path",
        "",
        "a path such as websocket-shim",
        "Path below which that script reaches the agent; the backend never sees requests to it.",
        _parse_path,
    ),
    duration("websocket-shim-timeout", timedelta(hours=1), "Close a websocket whose page has been silent for so long."),
    boolean(
        "enable-websockets-injection",
        "Add the header fields of the HTTP request to JSON messages from the page, at resource.headers.",
    ),
    boolean("rewrite-websocket-host", "Open websockets with the Host that the user asked for."),
)
