"""The command line alone; that everything starts and stops is a system test."""

import pytest

from scripts.readiness import NotReady
from scripts.run import Options, parse_options


def test_without_flags_the_demo_is_the_backend() -> None:
    assert parse_options(["--port=8080", "--backend-url="]) == Options(port=8080, backend_url="")


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:8888", "http://127.0.0.1:8888"),
        ("https://example.com/", "https://example.com"),
        ("localhost:8888", "http://localhost:8888"),
        ("http://[::1]:8888", "http://[::1]:8888"),
    ],
)
def test_a_server_of_the_users_own_is_named_by_its_address(given: str, url: str) -> None:
    assert parse_options([f"--backend-url={given}"]).backend_url == url


@pytest.mark.parametrize("given", ["http://", "ftp://a", "http://a/path", "http://a:port", "http://a:0", "http://[::1"])
def test_what_is_not_the_address_of_a_server_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(NotReady, match="and not like http://127.0.0.1:8888, without a path"):
        parse_options([f"--backend-url={given}"])


@pytest.mark.parametrize("given", ["", "http", "0", "65536"])
def test_what_is_not_a_port_is_refused(given: str) -> None:
    with pytest.raises(NotReady, match="PORT is .*, and not a number from 1 to 65535"):
        parse_options([f"--port={given}"])
