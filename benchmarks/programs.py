"""Programs of the machine. What it lacks is named, with how to get it, and left out."""

import shutil


class Missing(Exception):
    """Something that is needed and not here."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} is missing: {remedy}")


def find_program(name: str, *, package: str) -> str:
    """The path of a program, also of one that only root has in its search path. Raises `Missing`."""
    if path := shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin"):
        return path
    raise Missing(name, f"apt-get install {package}")
