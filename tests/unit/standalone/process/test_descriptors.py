"""The limit of open files."""

import resource
import subprocess
import sys

from tests.system.processes import ROOT

PROGRAM = """
import resource
from standalone.process import descriptors
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
print(descriptors.allow_all())
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_as_many_are_allowed_as_the_machine_lets_it_have() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert [int(line) for line in ran.stdout.split()] == [hard, hard]
