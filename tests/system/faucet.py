"""A backend for bodies of any length, none of which it ever holds: `python -m tests.system.faucet`.

GET /pour?n=      n bytes of the endless pattern; with `chunked` without a length
POST /drain       counts the body, and says whether it was the pattern: `{"length": n, "is_right": true}`
POST /mirror      the body that comes, as it comes; its length has to be known
"""

import json
import socketserver
import sys
from typing import BinaryIO, Final
from urllib.parse import parse_qs, urlsplit

_BLOCK: Final = bytes(range(256)) * 251 + b"|"
"""Of a length that no buffer has: pieces that are mixed up, lost or doubled show."""

PIECE: Final = 1 << 18

_PATTERN: Final = _BLOCK * (2 + PIECE // len(_BLOCK))


def pattern_at(offset: int, size: int) -> bytes:
    """So many bytes, at most `PIECE`, of a body whose every place says where it is."""
    first = offset % len(_BLOCK)
    return _PATTERN[first : first + size]


class Checked:
    """Counts what is fed to it, and sees whether it is the pattern."""

    def __init__(self) -> None:
        self.length = 0
        self.is_right = True

    def feed(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self.is_right = self.is_right and piece == pattern_at(self.length, len(piece))
            self.length += len(piece)


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    timeout = 120
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            while line := self.rfile.readline(1 << 16):
                method, target, _ = line.decode("latin-1").split(" ")
                fields = self._read_fields()
                if target == "/mirror":
                    self._mirror(int(fields["content-length"]))
                elif method == "POST":
                    self._drain(fields)
                else:
                    self._pour(target)
        except (ConnectionError, TimeoutError):
            return

    def _read_fields(self) -> dict[str, str]:
        fields = {}
        while (line := self.rfile.readline(1 << 16)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return fields

    def _pour(self, target: str) -> None:
        query = parse_qs(urlsplit(target).query, keep_blank_values=True)
        size, is_chunked = int(query.get("n", ["0"])[0]), "chunked" in query
        framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
        self.request.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        for start in range(0, size, PIECE):
            piece = pattern_at(start, min(PIECE, size - start))
            self.request.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        if is_chunked:
            self.request.sendall(b"0\r\n\r\n")

    def _mirror(self, size: int) -> None:
        self.request.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        while size:
            data = self.rfile.read1(min(size, PIECE))
            if not data:
                raise ConnectionError("the body ended early")
            self.request.sendall(data)
            size -= len(data)

    def _drain(self, fields: dict[str, str]) -> None:
        checked = Checked()
        rfile: BinaryIO = self.rfile  # type: ignore[assignment]
        if "chunked" in fields.get("transfer-encoding", ""):
            while size := int(rfile.readline(1 << 10).partition(b";")[0], 16):
                _read_into(rfile, size, checked)
                rfile.readline(1 << 10)
            while rfile.readline(1 << 16) not in (b"\r\n", b""):
                pass
        else:
            _read_into(rfile, int(fields.get("content-length", 0)), checked)
        body = json.dumps({"length": checked.length, "is_right": checked.is_right}).encode()
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def _read_into(stream: BinaryIO, size: int, checked: Checked) -> None:
    while size:
        data = stream.read(min(size, PIECE))
        if not data:
            raise ConnectionError("the body ended early")
        checked.feed(data)
        size -= len(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with Server(("127.0.0.1", port), Handler) as server:
        print(f"Listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
