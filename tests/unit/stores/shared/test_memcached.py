"""With the server of Debian's package `memcached`, where it is; and with one that talks nonsense."""

import socket
import threading
from collections.abc import Iterator

import pytest

from stores.shared.hints import CacheUnavailable
from stores.shared.memcached import Memcached
from tests.memcached import require_memcached, start_memcached
from tests.system.processes import free_port

pytestmark = pytest.mark.loopback


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memcached]:
    require_memcached()
    process, port = start_memcached(tmp_path_factory.mktemp("memcached") / "log")
    cache = Memcached("127.0.0.1", port)
    yield cache
    cache.close()
    process.stop()


def test_what_was_put_is_got_bytes_as_they_are(server: Memcached) -> None:
    server.put("one", b"\r\nEND\r\n\x00\xff")
    server.put("two", b"")

    assert server.get_many(["one", "two", "three"]) == {"one": b"\r\nEND\r\n\x00\xff", "two": b""}


def test_what_was_put_again_is_new(server: Memcached) -> None:
    server.put("again", b"1")
    server.put("again", b"2")

    assert server.get_many(["again"]) == {"again": b"2"}


def test_more_names_than_one_command_takes(server: Memcached) -> None:
    names = [f"name{number}" for number in range(175)]
    for name in names:
        server.put(name, name.encode())

    assert server.get_many(names) == {name: name.encode() for name in names}


def test_where_nobody_listens_there_is_no_cache() -> None:
    with pytest.raises(CacheUnavailable):
        Memcached("127.0.0.1", free_port()).get_many(["name"])


@pytest.mark.parametrize(
    "answer", [b"", b"ERROR\r\n", b"VALUE name 0\r\n", b"VALUE name 0 9\r\nab", b"\xff\r\n", b"x" * 5000]
)
def test_an_answer_that_is_none_is_no_cache(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        cache = Memcached(*listener.getsockname())
        with pytest.raises(CacheUnavailable):
            cache.get_many(["name"])
        thread.join(20)
