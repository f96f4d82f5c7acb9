"""A word to systemd."""

import os
import socket
from pathlib import Path

import pytest

from agent.process.service_manager import READY, notify


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_service_manager_is_told(is_abstract: bool, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{path}" if is_abstract else path)
        manager.settimeout(5)
        notify(f"@{path}" if is_abstract else path, READY)
        assert manager.recv(100) == b"READY=1"


def test_nobody_to_tell_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    notify("", READY)
    assert caplog.messages == []
    notify(os.devnull, READY)
    assert len(caplog.messages) == 1
