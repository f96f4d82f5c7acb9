"""Which door a request goes to: users', agents' or administrators'.

Pure. A listener has one door or several; between several the host name decides, if doors have names, else the exact
path. A path that only begins like one of ours is a user's: backends have paths like `/api/contents`, too.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from broker.forwarding import in_origin_form
from broker.hosts import host_of
from wire.http1 import RequestHead
from wire.protocol import PENDING_PATH, REQUEST_PATH, RESPONSE_PATH, TUNNEL_PATH

AGENT_PATHS: Final = frozenset({PENDING_PATH, REQUEST_PATH, RESPONSE_PATH, TUNNEL_PATH})
API_PATH: Final = "/api/backends"


class Door(Enum):
    """Whom requests come from."""

    USERS = "users"
    AGENTS = "agents"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """The doors of one listener, and the host names that lead to one of them alone; empty for none."""

    doors: frozenset[Door]
    agents_host: str = ""
    api_host: str = ""

    def door_of(self, head: RequestHead, *, asked_for: str = "") -> Door | None:
        """The door of a request, None where there is none for it. `asked_for` is the host that a trusted peer says was
        asked for."""
        if len(self.doors) == 1:
            return next(iter(self.doors))
        if self.agents_host or self.api_host:
            host = host_of(asked_for) or requested_host(head)
            if host == self.agents_host and Door.AGENTS in self.doors:
                return Door.AGENTS
            if host == self.api_host and Door.API in self.doors:
                return Door.API
        # Asked for each request: what is most seldom true stands first.
        if head.target in AGENT_PATHS and not self.agents_host and Door.AGENTS in self.doors:
            return Door.AGENTS
        if (
            head.target.startswith(API_PATH)
            and not self.api_host
            and Door.API in self.doors
            and _is_of_api(head.target)
        ):
            return Door.API
        return Door.USERS if Door.USERS in self.doors else None


def requested_host(head: RequestHead) -> str:
    """The host that a request is for, as `host_of` gives it; a URL in the request line wins over `Host`."""
    return host_of(in_origin_form(head).headers.get("Host") or "")


def _is_of_api(target: str) -> bool:
    return target.startswith(API_PATH) and target[len(API_PATH) : len(API_PATH) + 1] in ("", "/", "?")
