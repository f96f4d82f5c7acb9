"""Who of those that are known may come in: whom the settings list. Pure."""

from broker.errors import NotAllowed
from broker.model import ALL_USERS


def may_sign_in(user: str, allowed: frozenset[str]) -> bool:
    """True for somebody whom the settings let in: by his address, by its domain (`@example.org`), or with all."""
    name = user.lower()
    _, at, domain = name.rpartition("@")
    return not allowed.isdisjoint((ALL_USERS, name, f"@{domain}" if at else name))


def require_listed(user: str, allowed: frozenset[str]) -> None:
    """Raises `NotAllowed` for somebody whom the settings do not let in."""
    if not may_sign_in(user, allowed):
        raise NotAllowed(f"{user} is not among the users of this proxy", authenticated=True)
