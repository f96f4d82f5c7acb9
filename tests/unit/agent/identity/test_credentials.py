"""Who the agent is to the proxy."""

import os
from pathlib import Path

import pytest

from agent.identity.credentials import Combined, NoCredentials, TokenFile, is_bearer_token
from agent.identity.errors import CredentialsError


def test_nobody_shows_nothing() -> None:
    nobody = NoCredentials()
    nobody.refresh()
    assert list(nobody.fields()) == []


def test_a_token_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("abc.DEF-1\n")
    assert TokenFile(path).fields() == (("Authorization", "Bearer abc.DEF-1"),)


def test_a_token_is_read_again_when_its_file_is_replaced(tmp_path: Path) -> None:
    path, newer = tmp_path / "token", tmp_path / "newer"
    path.write_text("one")
    newer.write_text("two")
    source = TokenFile(path)
    first = source.fields()
    os.utime(newer, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    newer.replace(path)
    assert (first[0][1], source.fields()[0][1]) == ("Bearer one", "Bearer two")


def test_a_refused_token_is_read_again_whatever_the_clock_of_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    source = TokenFile(path)
    source.fields()
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    source.refresh()
    assert source.fields()[0][1] == "Bearer two"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"two\nlines", "ünicode".encode(), b"\xff"])
def test_a_file_without_a_token_is_an_error_that_does_not_quote_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CredentialsError) as caught:
        TokenFile(path).fields()
    assert (str(path) in str(caught.value), "two" in str(caught.value)) == (True, False)


def test_a_missing_file_is_an_error_until_it_is_there(tmp_path: Path) -> None:
    source = TokenFile(tmp_path / "token")
    with pytest.raises(CredentialsError, match="FileNotFoundError"):
        source.fields()
    (tmp_path / "token").write_text("late")
    assert source.fields()[0][1] == "Bearer late"


class Counting:
    """Credentials that count how often they are refreshed."""

    def __init__(self, name: str) -> None:
        self.name, self.refreshed = name, 0

    def fields(self) -> list[tuple[str, str]]:
        return [(self.name, str(self.refreshed))]

    def refresh(self) -> None:
        self.refreshed += 1


def test_combined_credentials_are_shown_side_by_side_and_refreshed_together() -> None:
    both = Combined(Counting("A"), Counting("B"))
    both.refresh()
    assert both.fields() == [("A", "1"), ("B", "1")]


@pytest.mark.parametrize(("text", "found"), [("a.b-c_d/+=", True), ("", False), ("a b", False), ("a\r\nX: y", False)])
def test_a_token_is_visible_ascii(text: str, found: bool) -> None:
    assert is_bearer_token(text) is found
