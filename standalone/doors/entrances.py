"""From settings to the doors of each address."""

from standalone.doors.dispatch import Door, Entrance
from standalone.settings.addresses import Address
from standalone.settings.load import Settings


def entrances_of(settings: Settings) -> list[tuple[Address, Entrance]]:
    """Where to listen, users first, and which doors are there; an address that is named for several has them all."""
    listen, has_api = settings.listen, settings.administrators.knows_anybody
    shared = {Door.USERS} | (set() if listen.agents else {Door.AGENTS}) | ({Door.API} if has_api else set())
    doors = [(address, shared - ({Door.API} if listen.api else set())) for address in listen.users]
    for door, addresses in ((Door.AGENTS, listen.agents), (Door.API, listen.api)):
        for address in addresses:
            known = [behind for place, behind in doors if place == address and address.is_fixed]
            if known:
                known[0].add(door)
            else:
                doors.append((address, {door}))
    names = {"agents_host": listen.agents_host, "api_host": listen.api_host}
    return [(address, Entrance(doors=frozenset(behind), **names)) for address, behind in doors]
