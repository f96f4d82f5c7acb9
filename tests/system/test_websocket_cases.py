"""The echo cases of the Autobahn test suite, made anew in small: what a server answers through proxy and agent is what
it answers directly, frame by frame, down to how the connection ends.

The groups are the suite's: 1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragments, 6 UTF-8, 7 closing, 9 sizes,
10 a message cut by TCP, 12 and 13 compression with one side's parameters or the other's.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

from tests.system.shapes import Site, Standalone
from tests.system.websocket_backend import Backend, a_backend
from tests.timing import SECOND

TEXT, BINARY, CONT, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA

HANDSHAKE: Final = (
    "GET /echo HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """A frame as a client sends it (RFC 6455 section 5.2)."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit, size = (0x80 if masked else 0), len(payload)
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    mask = b"\x37\xfa\x21\x3d"
    padded = payload + b"\0" * (-size % 4)
    key = int.from_bytes(mask * (len(padded) // 4), "big")
    return head + mask + (int.from_bytes(padded, "big") ^ key).to_bytes(len(padded), "big")[:size]


def closing(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


@dataclass(frozen=True)
class Heard:
    """What came back: frames as first byte and payload, and how the connection ended."""

    frames: tuple[tuple[int, bytes], ...]
    end: str


END: Final = closing()
Step = bytes | int
"""Bytes to send, or so many frames to wait for."""


def sizes(opcode: int) -> dict[str, Sequence[Step]]:
    lengths = (0, 1, 125, 126, 127, 128, 65535, 65536)
    return {str(length): [frame(opcode, b"*" * length), 1, END] for length in lengths}


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


UTF8_GOOD: Final = ("κόσμε", "\x00", "\u0800", "\U00010000", "\ufffd\uffff", "\U0010ffff", "\ud7ff\ue000")
UTF8_BAD: Final = (
    b"\xce\xba\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\xc3",
    b"\xed\xbf\xbf",
    b"\xff",
)

CASES: Final[dict[str, Sequence[Step]]] = {
    **{f"1.1 text of {name}": steps for name, steps in sizes(TEXT).items()},
    **{f"1.2 binary of {name}": steps for name, steps in sizes(BINARY).items()},
    "2.1 ping without payload": [frame(PING), 1, END],
    "2.2 ping with text": [frame(PING, b"Hello, world!"), 1, END],
    "2.3 ping with every kind of byte": [frame(PING, bytes(range(131, 256))), 1, END],
    "2.5 ping over 125 bytes": [frame(PING, b"\xfe" * 126)],
    "2.6 ping in bytes": [*cut(frame(PING, b"\xfe" * 125), 1), 1, END],
    "2.7 pong nobody asked for": [frame(PONG), frame(PONG, b"unasked"), frame(PING, b"x"), 1, END],
    "2.10 ten pings": [*(frame(PING, b"payload %d" % number) for number in range(10)), 10, END],
    **{f"3.{rsv} reserved bits {rsv:03b}": [frame(TEXT, b"ok"), 1, frame(TEXT, b"x", rsv=rsv)] for rsv in range(1, 8)},
    "3.8 reserved bits of a close": [frame(CLOSE, rsv=7)],
    **{f"4.1 opcode {code}": [frame(TEXT, b"ok"), 1, frame(code, b"x")] for code in range(3, 8)},
    **{f"4.2 opcode {code}": [frame(TEXT, b"ok"), 1, frame(code, b"x")] for code in range(11, 16)},
    "5.1 ping in two fragments": [frame(PING, b"a", fin=False), frame(CONT, b"b")],
    "5.2 pong in two fragments": [frame(PONG, b"a", fin=False), frame(CONT, b"b")],
    "5.3 text in two fragments": [frame(TEXT, b"frag1", fin=False), frame(CONT, b"frag2"), 1, END],
    "5.5 text in fragments and bytes": [
        *cut(frame(TEXT, b"frag1", fin=False) + frame(CONT, b"frag2"), 1), 1, END,
    ],
    "5.6 a ping between fragments": [
        frame(TEXT, b"frag1", fin=False), frame(PING, b"ping"), frame(CONT, b"frag2"), 2, END,
    ],
    "5.9 continuation of nothing": [frame(CONT, b"x")],
    "5.12 continuation of nothing, with more to come": [frame(CONT, b"x", fin=False)],
    "5.15 continuation behind a message": [
        frame(TEXT, b"a", fin=False), frame(CONT, b"b"), 1, frame(CONT, b"c"),
    ],
    "5.18 a message within a message": [frame(TEXT, b"a", fin=False), frame(TEXT, b"b")],
    "5.19 fragments and pings": [
        frame(TEXT, b"a", fin=False), frame(CONT, b"b", fin=False), frame(PING, b"1"), 1,
        frame(CONT, b"c", fin=False), frame(PING, b"2"), 2, frame(CONT, b"d"), 3, END,
    ],
    **{f"6 good {text!a}": [frame(TEXT, text.encode()), 1, END] for text in UTF8_GOOD},
    "6.2 a character in two fragments": [frame(TEXT, b"\xce", fin=False), frame(CONT, b"\xba"), 1, END],
    "6.1 empty fragments": [
        frame(TEXT, fin=False), frame(CONT, b"middle", fin=False), frame(CONT), 1, END,
    ],
    **{f"6 bad {data!r}": [frame(TEXT, data)] for data in UTF8_BAD},
    "7.1 close, then close": [END],
    "7.3 close without a code": [closing(None)],
    "7.3 close with one byte": [frame(CLOSE, b"\x03")],
    "7.3 close with the longest reason": [closing(1000, b"*" * 123)],
    "7.3 close with a reason too long": [closing(1000, b"*" * 124)],
    "7.5 close with a reason that is no UTF-8": [closing(1000, b"\xed\xa0\x80")],
    **{f"7.7 close with {code}": [closing(code)] for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011)},
    **{f"7.7 close with {code}": [closing(code)] for code in (3000, 3999, 4000, 4999)},
    **{f"7.9 close with {code}": [closing(code)] for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000)},
    "7 a frame without a mask": [frame(TEXT, b"x", masked=False)],
    "9.1 text of 1 MiB": [frame(TEXT, b"*" * (1 << 20)), 1, END],
    "9.2 binary of 4 MiB": [frame(BINARY, b"\x00\xfe" * (1 << 21)), 1, END],
    "9.3 text in fragments of 4 KiB": [
        frame(TEXT, fin=False), *(frame(CONT, b"*" * 4096, fin=False) for _ in range(128)), frame(CONT), 1, END,
    ],
    "9.5 text in pieces of TCP": [*cut(frame(TEXT, b"*" * (1 << 18)), 1300), 1, END],
    "9.7 a thousand small messages": [*(frame(TEXT, b"%d" % number) for number in range(1000)), 1000, END],
    "10.1 a message cut behind its head": [*cut(frame(TEXT, b"*" * 65536), 1300), 1, END],
}  # fmt: skip


class Raw:
    """A websocket of which every byte is ours."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self._socket = socket.create_connection((parts.hostname, parts.port), 30 * SECOND)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(HANDSHAKE.format(host=parts.netloc).encode())
        self._buffer = b""
        self._frames: list[tuple[int, bytes]] = []
        self._end = ""
        while b"\r\n\r\n" not in self._buffer:
            assert self._fill(), self._buffer
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def run(self, steps: Sequence[Step]) -> Heard:
        """Send and wait as told, then until the end."""
        for step in steps:
            if isinstance(step, bytes):
                self._send(step)
            else:
                while len(self._frames) < step and self._fill():
                    self._parse()
        while self._fill():
            pass
        self._parse()
        self._socket.close()
        return Heard(tuple(self._frames), self._end)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def _fill(self) -> bool:
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionResetError:
            data, self._end = b"", "reset"
        self._buffer += data
        self._end = self._end or ("" if data else "end")
        return bool(data)

    def _parse(self) -> None:
        while len(self._buffer) >= 2:
            size, start = self._buffer[1] & 0x7F, 2
            if size >= 126:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self._buffer[2:start], "big")
            if len(self._buffer) < max(start, start + size):
                return
            self._frames.append((self._buffer[0], self._buffer[start : start + size]))
            self._buffer = self._buffer[start + size :]


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with a_backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def site(backend: Backend, folder: Path) -> Iterator[Site]:
    proxy = Standalone(folder)
    site = Site(proxy, backend.url, backend_id="cases", folder=folder)
    site.start_agent()
    site.wait_until_online()
    yield site
    site.close()
    proxy.stop()


@pytest.mark.parametrize("name", CASES)
def test_a_case_ends_through_proxy_and_agent_as_it_does_directly(site: Site, backend: Backend, name: str) -> None:
    directly = Raw(backend.url).run(CASES[name])
    through = Raw(site.url).run(CASES[name])

    assert directly.frames, "the server says nothing at all"
    assert through == directly


PARAMETERS: Final[dict[str, dict[str, object]]] = {
    "13.1 none": {},
    "13.2 the server forgets": {"server_no_context_takeover": True},
    "13.3 the client forgets": {"client_no_context_takeover": True},
    "13.4 both forget": {"server_no_context_takeover": True, "client_no_context_takeover": True},
    "13.5 a small window of the server's": {"server_max_window_bits": 9},
    "13.6 a large window of the server's": {"server_max_window_bits": 15},
    "13.7 a window of the client's": {"client_max_window_bits": 10},
}

PAYLOAD: Final = Path(__file__).read_bytes()


@pytest.mark.parametrize("name", PARAMETERS)
def test_compression_is_agreed_on_through_proxy_and_agent_as_it_is_directly(
    site: Site, backend: Backend, name: str
) -> None:
    """Group 12, messages of growing size, with the parameters of group 13."""
    agreed = []
    messages = [PAYLOAD[:size] for size in (0, 16, 64, 256, 1024, 4096, len(PAYLOAD))] * 10
    for url in (backend.url, site.url):
        extension = ClientPerMessageDeflateFactory(**PARAMETERS[name])  # type: ignore[arg-type]
        with connect(
            f"{url.replace('http', 'ws', 1)}/echo", compression=None, extensions=[extension], ping_interval=None
        ) as websocket:
            assert websocket.response is not None
            agreed.append(websocket.response.headers["Sec-WebSocket-Extensions"])
            for message in messages:
                websocket.send(message)
                assert websocket.recv(20 * SECOND) == message

    assert agreed[0] == agreed[1]
    assert agreed[0].startswith("permessage-deflate")
