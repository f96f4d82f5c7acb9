"""A server of HTTP/2 on a raw connection that does what a test says: h2, without its checks of answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes, Settings

from tests.agent.peers import Ended, Wire

Fields = list[tuple[str, str]]


@dataclass
class Call:
    """One request, as far as it has come."""

    stream_id: int
    fields: Fields
    body: bytearray = field(default_factory=bytearray)
    trailers: Fields = field(default_factory=list)
    is_whole: bool = False

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)


class Http2Wire:
    """One accepted connection that speaks HTTP/2."""

    def __init__(self, wire: Wire, **settings: int) -> None:
        self.wire = wire
        config = H2Configuration(
            client_side=False,
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = H2Connection(config)
        if settings:
            values = {SettingCodes[name]: value for name, value in settings.items()}
            self.h2.local_settings = Settings(client=False, initial_values=values)
        self.h2.initiate_connection()
        self.calls: dict[int, Call] = {}
        self.resets: list[StreamReset] = []
        self.consumes = True
        """Whether what comes is acknowledged, so that more may come."""
        self._events: list[Event] = []
        self.flush()

    def flush(self) -> None:
        self.wire.send(self.h2.data_to_send())

    def read(self) -> Event:
        """The next event. Raises `Ended`."""
        while not self._events:
            data = self.wire.socket.recv(65536)
            if not data:
                raise Ended
            for event in self.h2.receive_data(data):
                self._note(event)
                self._events.append(event)
            self.flush()
        return self._events.pop(0)

    def _note(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            fields = [(str(name), str(value)) for name, value in event.headers]
            self.calls[event.stream_id] = Call(event.stream_id, fields)
        elif isinstance(event, DataReceived):
            self.calls[event.stream_id].body += event.data
            if self.consumes:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, TrailersReceived):
            trailers = [(str(name), str(value)) for name, value in event.headers]
            self.calls[event.stream_id].trailers = trailers
        elif isinstance(event, StreamEnded):
            self.calls[event.stream_id].is_whole = True
        elif isinstance(event, StreamReset):
            self.resets.append(event)

    def next_head(self) -> Call:
        """The next request, as soon as its head has come."""
        while not isinstance(event := self.read(), RequestReceived):
            pass
        return self.calls[event.stream_id]

    def next_call(self) -> Call:
        """The next request that is whole."""
        while not isinstance(event := self.read(), StreamEnded):
            pass
        return self.calls[event.stream_id]

    def head(self, call: Call, *fields: tuple[str, str], end: bool = False, status: str = "200") -> None:
        self.h2.send_headers(call.stream_id, [(":status", status), *fields], end_stream=end)
        self.flush()

    def data(self, call: Call, data: bytes, *, end: bool = False) -> None:
        """All of it, as the client lets it."""
        while data:
            size = min(len(data), self.h2.local_flow_control_window(call.stream_id), self.h2.max_outbound_frame_size)
            if not size:
                self.read()
                continue
            self.h2.send_data(call.stream_id, data[:size])
            data = data[size:]
            self.flush()
        if end:
            self.h2.end_stream(call.stream_id)
            self.flush()

    def trailers(self, call: Call, *fields: tuple[str, str]) -> None:
        self.h2.send_headers(call.stream_id, list(fields), end_stream=True)
        self.flush()

    def answer(self, call: Call, body: bytes = b"", *fields: tuple[str, str], status: str = "200") -> None:
        self.head(call, *fields, end=not body, status=status)
        if body:
            self.data(call, body, end=True)

    def until_ended(self) -> None:
        """Read until the agent closes."""
        while True:
            self.read()


def serving(handle: Callable[[Http2Wire, Call], None], **settings: int) -> Callable[[Wire], None]:
    """Answer each whole request on each connection, one after the other."""

    def serve(wire: Wire) -> None:
        http2 = Http2Wire(wire, **settings)
        while True:
            handle(http2, http2.next_call())

    return serve


def scripted(play: Callable[[Http2Wire], None], **settings: int) -> Callable[[Wire], None]:
    """Each connection as `play` has it; afterwards it is read until the agent closes it."""

    def serve(wire: Wire) -> None:
        http2 = Http2Wire(wire, **settings)
        play(http2)
        http2.until_ended()

    return serve


def in_turn(*serves: Callable[[Wire], None]) -> Callable[[Wire], None]:
    """The first connection by the first, the second by the second, …"""
    turns: Iterator[Callable[[Wire], None]] = iter(serves)
    return lambda wire: next(turns)(wire)
