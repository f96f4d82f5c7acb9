import select
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from standalone.connections.listeners import ListenError, listen, require_place
from standalone.settings.addresses import Address
from tests.rights import folder_of_everybody, without_privileges

LOOPBACK = Address("", "127.0.0.1", 0)


@pytest.mark.loopback
def test_a_listener_says_where_it_listens() -> None:
    listener = listen(LOOPBACK)
    with listener.socket:
        assert listener.url == f"http://127.0.0.1:{listener.socket.getsockname()[1]}"


@pytest.mark.loopback
def test_a_connection_takes_more_as_soon_as_a_little_was_read() -> None:
    with listen(LOOPBACK).socket as listener, socket.create_connection(listener.getsockname()) as reader:
        writer, _ = listener.accept()
        with writer:
            writer.setblocking(False)
            while select.select([], [writer], [], 0)[1]:
                writer.send(bytes(1 << 20))
            read = 0
            while not select.select([], [writer], [], 0)[1]:
                read += len(reader.recv(16 << 10))

            assert read <= 200 << 10


@pytest.mark.loopback
def test_a_port_in_use_is_named() -> None:
    with listen(LOOPBACK).socket as taken:
        port = taken.getsockname()[1]

        with pytest.raises(
            ListenError, match=f"port {port} on 127.0.0.1 is in use, by another program or another address of"
        ):
            listen(replace(LOOPBACK, port=port))


@pytest.mark.loopback
def test_a_unix_socket_takes_the_place_of_one_that_was_left_behind_but_not_of_one_in_use(tmp_path: Path) -> None:
    address = Address("unix", str(tmp_path / "proxy.sock"))
    listen(address).socket.close()

    listener = listen(address)
    with listener.socket:
        assert listener.url == f"unix://{tmp_path}/proxy.sock"
        assert stat.S_IMODE((tmp_path / "proxy.sock").stat().st_mode) == 0o660
        with pytest.raises(ListenError, match=f"cannot listen on unix://{tmp_path}/proxy.sock: another process"):
            listen(address)


@pytest.mark.loopback
def test_a_file_is_not_replaced_by_a_unix_socket(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")

    with pytest.raises(ListenError, match="precious: a file is there that is no socket"):
        listen(Address("unix", str(tmp_path / "precious")))
    assert (tmp_path / "precious").read_text() == "data"


@pytest.mark.loopback
def test_a_unix_socket_is_open_to_whom_its_mode_says_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    listener = listen(Address("unix", str(path)), mode=0o600)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listener.close()
    assert not path.exists()


def test_a_place_without_a_folder_or_of_a_file_is_found_without_listening_in_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")

    for path in (tmp_path / "missing" / "proxy.sock", tmp_path / "precious", tmp_path / "precious" / "proxy.sock"):
        with pytest.raises(ListenError) as found:
            require_place(Address("unix", str(path)))
        with pytest.raises(ListenError) as said:
            listen(Address("unix", str(path)))
        assert str(found.value) == str(said.value)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_folder_in_which_no_socket_can_be_made_is_found_without_listening() -> None:
    with folder_of_everybody() as folder:
        folder.chmod(0o755)

        with without_privileges(), pytest.raises(ListenError, match=r"proxy.sock: Permission denied"):
            require_place(Address("unix", str(folder / "proxy.sock")))


@pytest.mark.loopback
def test_a_place_that_is_free_or_has_a_socket_is_left_as_it_is(tmp_path: Path) -> None:
    address = Address("unix", str(tmp_path / "proxy.sock"))
    require_place(address)
    require_place(LOOPBACK)
    assert list(tmp_path.iterdir()) == []

    with listen(address).socket:
        require_place(address)
    require_place(address)

    assert stat.S_ISSOCK((tmp_path / "proxy.sock").stat().st_mode)
