"""`python -m standalone.tokens`."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from standalone.identity.tokens import parse_tokens
from standalone.tokens import main
from tests.fakes.clock import NOON


class Shell:
    """The command over one file, what it has printed, and what it has said."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agents.tokens"
        self.printed: list[str] = []
        self.said: list[str] = []

    def run(self, command: str, *arguments: str) -> int:
        given = [command, "--file", str(self.path), *arguments]
        return main(given, now=NOON, write=self.printed.append, tell=self.said.append)

    def accounts(self, token: str) -> str | None:
        entry = parse_tokens(self.path.read_text()).find(token, now=NOON)
        return entry and entry.account


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_token_is_printed_once_and_its_file_knows_it(shell: Shell) -> None:
    assert shell.run("add", "CI@example.org") == 0
    (token,) = shell.printed

    assert shell.accounts(token) == "ci@example.org"
    assert token not in shell.path.read_text() + "".join(shell.said)


def test_an_account_may_have_several_for_when_one_is_changed(shell: Shell) -> None:
    shell.run("add", "ci", "--name=old")
    shell.run("add", "ci", "--name=new")

    assert [shell.accounts(token) for token in shell.printed] == ["ci", "ci"]


def test_what_stands_in_the_file_stays(shell: Shell) -> None:
    shell.path.write_text("# ours\n\nother sha256:" + "0" * 64)  # no line end
    shell.run("add", "ci")
    shell.run("revoke", "ci")

    assert shell.path.read_text() == "# ours\n\nother sha256:" + "0" * 64 + "\n"


def test_a_name_is_given_once(shell: Shell) -> None:
    shell.run("add", "ci", "--name=one")

    assert (shell.run("add", "CI", "--name=one"), len(shell.printed)) == (1, 1)
    assert "has a token of the name one already" in shell.said[-1]


def test_a_token_may_end(shell: Shell) -> None:
    day = (NOON - timedelta(days=1)).date().isoformat()
    shell.run("add", "ci", f"--expires={day}")

    assert shell.accounts(shell.printed[0]) is None


def test_a_token_that_is_taken_back_is_known_no_more(shell: Shell) -> None:
    for name in ("one", "two", "three"):
        shell.run("add", "ci", f"--name={name}")
    assert shell.run("revoke", "ci", "--name=two") == 0
    after_one = [shell.accounts(token) for token in shell.printed]
    assert shell.run("revoke", "ci") == 0

    assert after_one == ["ci", None, "ci"]
    assert shell.said[-1] == f"{shell.path}: 2 tokens fewer"
    assert shell.path.read_text() == ""


def test_there_has_to_be_one_to_take_back(shell: Shell) -> None:
    shell.run("add", "ci")

    assert shell.run("revoke", "ci", "--name=other") == 1
    assert shell.said[-1] == f"{shell.path}: ci has no such token"


def test_the_list_shows_no_token_and_too_little_of_a_hash_to_be_one(shell: Shell) -> None:
    shell.run("add", "ci", "--name=one", "--expires=2000-01-01")
    shell.run("add", "other")
    tokens = shell.printed[:]
    shell.printed.clear()
    shell.run("list")

    assert [line.split()[0] for line in shell.printed] == ["ci", "other"]
    assert shell.printed[0].endswith("name=one expires=2000-01-01 (over)")
    assert not any(token in line for token in tokens for line in shell.printed)
    assert max(len(line.split()[1]) for line in shell.printed) == len("sha256:") + 9


def test_a_file_that_is_broken_is_left_alone(shell: Shell) -> None:
    shell.path.write_text("ci ipx_itself\n")

    assert [shell.run("add", "ci"), shell.run("revoke", "ci"), shell.run("list")] == [1, 1, 1]
    assert shell.path.read_text() == "ci ipx_itself\n"
    assert not any("itself" in line for line in shell.said)


@pytest.mark.parametrize("arguments", [["add", "a b"], ["add", "allUsers"], ["list"]])
def test_what_cannot_be_done_is_one_line_about_the_file(arguments: list[str], shell: Shell) -> None:
    assert (shell.run(*arguments), len(shell.said), shell.said[0].startswith(f"{shell.path}: ")) == (1, 1, True)


@pytest.mark.parametrize("flag", ["--name=a b", "--expires=soon"])
def test_a_flag_that_cannot_be_used_is_told(flag: str, shell: Shell) -> None:
    with pytest.raises(SystemExit) as caught:
        shell.run("add", "ci", flag)
    assert caught.value.code == 2


def test_others_may_not_read_a_new_file_and_the_mode_of_an_old_one_stays(shell: Shell) -> None:
    shell.run("add", "ci")
    first = shell.path.stat().st_mode & 0o777
    shell.path.chmod(0o604)
    shell.run("add", "ci")

    assert (first, shell.path.stat().st_mode & 0o777) == (0o640, 0o604)


def test_a_link_stays_one(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    shell.path.symlink_to(target)
    shell.run("add", "ci")

    assert (shell.path.is_symlink(), shell.accounts(shell.printed[0])) == (True, "ci")
    assert sorted(os.listdir(tmp_path)) == ["agents.tokens", "target"]
