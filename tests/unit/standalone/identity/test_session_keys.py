"""`standalone.identity.session_keys`: what a file of keys has to be."""

import pytest

from standalone.identity.session_keys import parse_keys

OLD, NEW = b"o" * 32, b"n" * 32


def test_a_file_has_one_key_a_line() -> None:
    assert parse_keys(f"# new\n{NEW.decode()}\n\n  {OLD.decode()}\n") == (NEW, OLD)


@pytest.mark.parametrize("text", ["", "# none\n", f"{NEW.decode()}\nshort"])
def test_a_file_without_a_key_or_with_one_that_could_be_guessed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at least 32 characters") as caught:
        parse_keys(text)
    assert ("short" in str(caught.value), str(caught.value).startswith("line 2")) == (False, "short" in text)
