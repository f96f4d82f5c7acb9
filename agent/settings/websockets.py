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
    """Without slashes around it; may be empty: see `path`."""
    websocket_shim_timeout: timedelta
    enable_websockets_injection: bool
    rewrite_websocket_host: bool
    disable_native_websockets: bool

    @property
    def path(self) -> str:
        """Where the shim listens; a script in the pages is of no use without."""
        return self.shim_path or (_PATH if self.shim_websockets else "")

    @property
    def takes_upgrades(self) -> bool:
        """Websockets go through tunnels where the proxy has them; not where something is to be put into messages, which
        nobody reads there."""
        return not (self.disable_native_websockets or self.enable_websockets_injection)

    def check(self) -> None:
        if self.path and not self.websocket_shim_timeout:
            raise FlagError("--websocket-shim-timeout is '0': expected a duration, because every wait has an end")


_PATH: Final = "websocket-shim"


def _parse_path(text: str) -> str:
    path = text.strip("/")
    if path and not re.fullmatch(r"(?!.*(^|/)\.\.?(/|$))[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("not a path")
    return path


FLAGS: Final = (
    boolean("shim-websockets", "Put a script into HTML pages that carries their websockets over ordinary requests."),
    Flag(
        "shim-path",
        "",
        "a path such as websocket-shim",
        f"Path below which that script reaches the agent, {_PATH} if there is one; never the backend's.",
        _parse_path,
    ),
    duration("websocket-shim-timeout", timedelta(hours=1), "Close a websocket whose page has been silent for so long."),
    boolean(
        "enable-websockets-injection",
        "Add the header fields of the HTTP request to JSON messages from the page, at resource.headers.",
    ),
    boolean("rewrite-websocket-host", "Open websockets with the Host that the user asked for."),
    boolean("disable-native-websockets", "Carry no websockets through tunnels, also where the proxy could."),
)
