"""The rights of somebody who may not do everything, also where root runs the tests."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NOBODY: Final = 65534


@contextmanager
def without_privileges() -> Iterator[None]:
    """What root does within is done as nobody."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def folder_of_everybody() -> Iterator[Path]:
    """A folder that nobody can reach, too; those of pytest are for one user alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # noqa: S103 - that is what it is for
        yield Path(folder)
