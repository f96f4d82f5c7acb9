"""What can be wrong with bytes that came from the other side.

WireError
    MalformedMessage   not what the protocol allows
    MessageTooLarge    over one of the limits of `wire.protocol`
"""


class WireError(ValueError):
    """Bytes from outside that cannot be used; `status_hint` is the HTTP status that a server may answer with."""

    status_hint = 400


class MalformedMessage(WireError):
    """The bytes are not a message of the protocol."""


class MessageTooLarge(WireError):
    """A part of the message is longer than its limit; `status_hint` is 413, 414 for a URL, or 431 for header fields."""

    def __init__(self, text: str, *, status_hint: int = 413) -> None:
        super().__init__(text)
        self.status_hint = status_hint
