"""The guard of `tests/conftest.py`: a test reaches nothing that it did not ask for."""

import socket

import pytest


@pytest.mark.filterwarnings("ignore:A test tried to use socket:UserWarning")
def test_a_test_is_refused_a_socket() -> None:
    with pytest.raises(RuntimeError, match=r"tried to use socket\.socket"):
        socket.socket()


@pytest.mark.loopback
def test_a_loopback_test_reaches_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.loopback
@pytest.mark.filterwarnings("ignore:A test tried to use socket:UserWarning")
def test_a_loopback_test_reaches_nothing_else() -> None:
    with socket.socket() as client, pytest.raises(RuntimeError, match="192.0.2.1"):
        client.connect(("192.0.2.1", 80))
