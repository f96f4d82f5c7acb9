"""The Datastore emulator, for as long as standard input is open: `python -m tests.system.emulator`.

It is a shell with Java as its child, so that no signal at the end of the test run would reach it; an end of file does.
"""

import sys

from scripts.emulator import DatastoreEmulator


def main() -> None:
    with DatastoreEmulator() as emulator:
        print(f"Listening on http://{emulator.host}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
