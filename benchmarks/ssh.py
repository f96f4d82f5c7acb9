"""`ssh -R` through an sshd of this machine, with keys made for the run: the tunnel that everybody has."""

import os
import pwd
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.programs import Missing, find_program
from tests.system.processes import Process, free_port

_PRIVILEGE_SEPARATION: Final = Path("/run/sshd")

_SETTINGS: Final = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding remote
MaxSessions 1
"""

_CLIENT_OPTIONS: Final = (
    "ExitOnForwardFailure=yes",
    "IdentitiesOnly=yes",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
)


def start_sshd(folder: Path) -> tuple[Process, int]:
    """A server for the user of this process alone, and its port. Raises `Missing`."""
    path = find_program("sshd", package="openssh-server")
    if os.getuid() == 0 and not _PRIVILEGE_SEPARATION.is_dir():
        raise Missing(str(_PRIVILEGE_SEPARATION), f"mkdir {_PRIVILEGE_SEPARATION}, as the service does when it starts")
    for name in ("host_key", "user_key"):
        if not (folder / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    port = free_port()
    settings = folder / f"sshd-{port}.conf"
    settings.write_text(_SETTINGS.format(port=port, folder=folder))
    return Process("sshd", [path, "-D", "-e", "-f", str(settings)], log=folder / f"sshd-{port}.log"), port


def start_client(folder: Path, *, sshd: int, port: int, backend: int) -> Process:
    """A client that has the server listen on `port` and carries what comes to the backend's port. Raises `Missing`."""
    user = pwd.getpwuid(os.getuid()).pw_name
    command = [
        find_program("ssh", package="openssh-client"),
        "-F",
        "none",
        "-N",
        "-T",
        "-i",
        str(folder / "user_key"),
        "-p",
        str(sshd),
    ]
    command += [f"-o{option}" for option in _CLIENT_OPTIONS]
    command += ["-R", f"127.0.0.1:{port}:127.0.0.1:{backend}", f"{user}@127.0.0.1"]
    return Process("ssh", command, log=folder / f"ssh-{port}.log")
