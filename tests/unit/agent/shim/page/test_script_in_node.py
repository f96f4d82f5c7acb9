"""The script in Node, with a clock and a network of the test's own: `shim.test.mjs`. In a browser: `tests/browser`."""

import shutil
import subprocess
from pathlib import Path

import pytest


def test_the_script_with_an_agent_that_answers_by_hand() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT TESTED in Node, which is not installed: apt-get install nodejs")
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", str(Path(__file__).with_name("shim.test.mjs"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout
