"""Sockets that accept connections: of the internet, in both versions, and of this machine."""

import errno
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Final

from standalone.settings.addresses import Address, bracketed

BACKLOG: Final = 2048

_UNSENT: Final = 128 << 10
"""Bytes that the kernel keeps of a connection beside those on their way: it would take megabytes, and ask for more only
when a third of them has gone, so that a slow reader would stop whoever answers it for minutes."""


class ListenError(OSError):
    """The address cannot be listened on; the text says which, and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """A socket that accepts connections."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None
    is_fronted: bool = False
    """True where proxies in front say first whose connection it is."""

    @property
    def url(self) -> str:
        """Its address as a URL."""
        if self.socket.family == socket.AF_UNIX:
            return f"unix://{self.socket.getsockname()}"
        host = self.socket.getsockname()[0]
        return f"{'https' if self.tls else 'http'}://{bracketed(host)}:{self.port}"

    @property
    def port(self) -> int:
        """Its port, also one that was picked; not of a unix socket."""
        port: int = self.socket.getsockname()[1]
        return port

    def close(self) -> None:
        """Accept no more; a unix socket leaves nothing behind."""
        if self.socket.family == socket.AF_UNIX:
            with suppress(OSError):
                os.unlink(self.socket.getsockname())
        self.socket.close()


def listen(
    address: Address, *, tls: ssl.SSLContext | None = None, is_fronted: bool = False, mode: int = 0o660
) -> Listener:
    """A listener that accepts connections from here on; `tls` is for addresses that are not meant to go without,
    `mode` says who may connect to a unix socket.

    Raises `ListenError`.
    """
    with _explaining(address):
        if address.scheme == "unix":
            return Listener(_listen_unix(address.host, mode), is_fronted=is_fronted)
        return Listener(_listen_tcp(address), None if address.scheme == "http" else tls, is_fronted)


def require_place(address: Address) -> None:
    """Raises `ListenError` where `listen` could not make a unix socket, whoever listens there now; changes nothing, and
    knows nothing of ports."""
    if address.scheme == "unix":
        with _explaining(address):
            _require_no_file(address.host)
            # Without a name, where the file system can do that.
            with TemporaryFile(dir=os.path.dirname(address.host)):
                pass


@contextmanager
def _explaining(address: Address) -> Iterator[None]:
    """What the system says against an address, in words."""
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE and address.scheme != "unix":
            raise ListenError(
                f"port {address.port} on {address.host} is in use, by another program or another address of [listen]: "
                "choose another, there or with --port"
            ) from exc
        where = address if address.scheme == "unix" else f"{address.host}, port {address.port}"
        raise ListenError(f"cannot listen on {where}: {exc.strerror or exc}") from exc


def _listen_tcp(address: Address) -> socket.socket:
    family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    listener = socket.create_server(place[:2], family=family, backlog=BACKLOG)
    with suppress(OSError):  # no system fails for want of it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)  # connections inherit it
    return listener


def _listen_unix(path: str, mode: int) -> socket.socket:
    """A socket in the place of one that nobody listens on any more. Raises `OSError` while somebody does."""
    with suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        raise OSError(errno.EADDRINUSE, "another process listens there")
    _require_no_file(path)
    with suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        # Nobody can connect before it listens.
        os.chmod(path, mode)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _require_no_file(path: str) -> None:
    """Raises `OSError` where something else is than a socket."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EEXIST, "a file is there that is no socket")
