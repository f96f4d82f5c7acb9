"""Where `agent.pyz` begins: finds a folder to unpack into, and lets shiv unpack and start. Ships as its `__main__.py`.

Compiled parts cannot be loaded out of a zip file, so what is inside is unpacked once: into `$SHIV_ROOT`, else into the
user's cache, else, where that cannot be written, into a folder below the one for temporary files that only this user
may write. Each build has a folder of its own there.
"""

import os
import stat
import sys
import tempfile
from pathlib import Path

NAME = "inverting-proxy-agent"
OLDEST = (3, 11)


def main() -> None:
    if sys.version_info < OLDEST:
        sys.exit(f"agent: Python {'.'.join(map(str, OLDEST))} or later is needed; this is {sys.version.split()[0]}")
    if not os.environ.get("SHIV_ROOT"):
        os.environ["SHIV_ROOT"] = find_root()
    import _bootstrap  # type: ignore[import-not-found]  # shiv's, inside the file

    _bootstrap.bootstrap()


def find_root() -> str:
    """The first folder that is there or can be made, and is this user's alone to write."""
    home = os.environ.get("HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or (home and str(Path(home) / ".cache"))
    places = [Path(cache) / NAME] if cache else []
    places.append(Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}")
    for place in places:
        if is_usable(place):
            return str(place)
    sys.exit(f"agent: no place to unpack to among {', '.join(map(str, places))}; set SHIV_ROOT to a folder")


def is_usable(place: Path) -> bool:
    """True for a folder that this user owns, nobody else may write, and a file can be made in; made if need be."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not what a link leads to: in a folder for all, somebody else may have put it there.
        status = place.lstat()
        with tempfile.TemporaryFile(dir=place):
            return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
    except OSError:
        return False


if __name__ == "__main__":
    main()
