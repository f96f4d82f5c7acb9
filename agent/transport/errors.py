"""What can happen to a call on its way, told apart by what the caller may conclude."""


class TransportError(Exception):
    """A call failed on the network or in the message that came back; the text names no secrets."""


class Unreachable(TransportError):
    """No connection: nothing was sent."""


class TlsFailed(Unreachable):
    """The peer is there, but there is no agreement on TLS, or its certificate is not to be trusted."""


class NotHttp2(TransportError):
    """The peer was asked to speak HTTP/2 and does not: no request was sent."""


class TimedOut(TransportError):
    """The peer was silent for longer than its limit."""


class Broken(TransportError):
    """The connection ended early, or what came is not HTTP."""


class NothingReceived(Broken):
    """The connection ended before a single byte of an answer."""

    def __init__(self, text: str, *, was_kept: bool = False) -> None:
        super().__init__(text)
        self.was_kept = was_kept
        """True for a connection that had been used before: the peer may have closed it without knowing of the call."""


class NotProcessed(Broken):
    """The peer has not begun with the request: whatever it is, it may be sent again (RFC 9113 section 8.7)."""


class SourceBroke(Exception):
    """The body that was to be sent did not come to its end: the fault lies behind the sender, not with its peer."""
