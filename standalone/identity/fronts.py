"""Users whom a proxy in front has asked who they are, and who says so in a header field. Pure.

The field is believed from that proxy alone, in exactly one spelling and once. From nobody does any spelling of it get
any further: CGI and WSGI cannot tell `X_User` from `X-User`, and a backend would read a client's copy.
"""

from dataclasses import dataclass
from typing import Final

from broker.errors import NotAllowed
from broker.model import ALL_USERS
from edge.identity import Caller, is_email
from wire.errors import MalformedMessage
from wire.headers import Headers, connection_options, normalise

_MAX_USER: Final = 256


def is_user(text: str) -> bool:
    """True for what can name a user: an address, or another name that cannot be taken for one, or for many."""
    if "@" in text:
        return is_email(text) and text.isascii() and len(text) <= _MAX_USER
    is_word = text.isascii() and text.isprintable() and " " not in text and text.lower() != ALL_USERS.lower()
    return is_word and 0 < len(text) <= _MAX_USER


def spelled(user: str) -> str:
    """A user as he is looked for and counted: an address in lower case. Other names may differ by case alone."""
    return user.lower() if "@" in user else user


@dataclass(frozen=True, slots=True)
class Front:
    """A proxy in front: the field in which it names users, and what stands before the name."""

    field: str
    prefix: str = ""

    def user_of(self, caller: Caller, *, is_trusted: bool) -> str:
        """The user whom the proxy in front names.

        Raises `NotAllowed` for whoever does not come through it, and for nobody; `MalformedMessage` where the field
        stands twice, or `Connection` says that it is to be taken out.
        """
        if not is_trusted:
            raise _nobody("users come through the proxy in front of this one")
        wanted = normalise(self.field)
        if wanted in {normalise(option) for option in connection_options(caller.headers)}:
            raise MalformedMessage(f"Connection: names {self.field}")
        values = caller.headers.get_all(self.field)
        if len(values) > 1:
            raise MalformedMessage(f"{self.field}: stands more than once")
        user = values[0].removeprefix(self.prefix) if values and values[0].startswith(self.prefix) else ""
        if not is_user(user):
            raise _nobody(f"{self.field}: missing, or not the name of a user")
        return spelled(user)

    def without(self, headers: Headers) -> Headers:
        """The fields that go on: without this one, in any spelling."""
        wanted = normalise(self.field)
        return headers.where(lambda name: normalise(name) != wanted)


def _nobody(why: str) -> NotAllowed:
    return NotAllowed(why, authenticated=False, challenged=False)
