"""Values of flags."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.commandline.parsing import duration, file, is_loopback, number, parse_lines, parse_origin, parse_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("h:81", "http://h:81"),
        ("http://h:81/", "http://h:81"),
        ("https://h", "https://h"),
        ("[::1]:81", "http://[::1]:81"),
        ("unix:///run/a.sock", "unix:///run/a.sock"),
    ],
)
def test_an_origin_is_a_host_and_port_or_a_url(text: str, url: str) -> None:
    assert parse_origin(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "http://h/path", "unix://x", "unix:///", "unix:///a\0b", "h:99999", "h:0", "ftp://h", "http://u:p@h", "h:x"],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_origin(text)


def test_a_url_keeps_its_path_but_not_the_slash_behind_it() -> None:
    assert parse_url("https://h/a/b/", is_origin=False) == "https://h/a/b"


@pytest.mark.parametrize(("host", "found"), [("127.8.9.1", True), ("::1", True), ("10.0.0.1", False), ("lo", False)])
def test_loopback_is_an_address_of_this_machine(host: str, found: bool) -> None:
    assert is_loopback(host) is found


def test_lines_are_parsed_one_by_one() -> None:
    assert parse_lines(int)("1\n2\n") == (1, 2)


@pytest.mark.parametrize("text", ["0", "6", "x", "", "٣", "1.5", "05"])
def test_a_number_has_bounds(text: str) -> None:
    flag = number("n", "1", "A number.", least=1, most=5)
    assert flag.parse("5") == flag.parse("0x5") == flag.parse("+5") == 5
    with pytest.raises(ValueError):
        flag.parse(text)


def test_a_duration_has_a_default_of_its_own_form() -> None:
    flag = duration("d", timedelta(seconds=90), "A duration.")
    assert flag.parse(flag.default) == timedelta(seconds=90)


def test_a_file_has_to_be_there(tmp_path: Path) -> None:
    flag = file("f", "A file.")
    (tmp_path / "there").touch()
    assert flag.parse("") is None
    assert flag.parse(str(tmp_path / "there")) == tmp_path / "there"
    for missing in (tmp_path / "missing", tmp_path):
        with pytest.raises(ValueError, match="no such file"):
            flag.parse(str(missing))
