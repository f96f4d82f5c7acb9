"""How this program is started once more."""

import pytest

from agent.workers.command import command


@pytest.mark.parametrize(
    ("original", "arguments", "expected"),
    [
        (["python", "-m", "agent", "--proxy=x", "--backend=y"], ["/a/agent/__main__.py", "--proxy=x", "--backend=y"],
         ["-m", "agent"]),
        (["python3", "-I", "-X", "dev", "agent.pyz", "--proxy=x"], ["agent.pyz", "--proxy=x"],
         ["-I", "-X", "dev", "agent.pyz"]),
        (["/usr/bin/python3", "./agent.pyz"], ["./agent.pyz"], ["./agent.pyz"]),
    ],
    ids=["module", "file", "executable file"],
)  # fmt: skip
def test_it_is_the_same_command_without_the_programs_arguments(
    original: list[str], arguments: list[str], expected: list[str]
) -> None:
    made = command(original, arguments=arguments, executable="/venv/bin/python")
    assert made == ["/venv/bin/python", *expected]
