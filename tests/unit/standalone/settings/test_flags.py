from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings.flags import read_flags
from standalone.settings.keys import Given


def test_what_is_not_said_is_left_to_others() -> None:
    flags = read_flags([])

    assert (flags.config, flags.is_open, flags.only_checks, flags.given) == (None, False, False, {})


def test_flags_stand_for_keys_of_the_file() -> None:
    flags = read_flags(
        [
            *["--config=/etc/proxy.toml", "--open", "--check-config", "--host=::1", "--port=0"],
            *["--response-timeout=2m", "--idle-timeout=500ms", "--max-body-bytes=7"],
            *["--graceful-shutdown-timeout=1.5s"],
        ]
    )

    assert (flags.config, flags.is_open, flags.only_checks) == (Path("/etc/proxy.toml"), True, True)
    assert flags.given == {
        "listen": {"users": Given(("[::1]:0",), "--host")},
        "timeouts": {
            "response": Given(("2m",), "--response-timeout"),
            "idle": Given(("500ms",), "--idle-timeout"),
            "shutdown": Given(("1.5s",), "--graceful-shutdown-timeout"),
        },
        "limits": {"body-bytes": Given(("7",), "--max-body-bytes")},
    }


def test_a_host_or_a_port_alone_has_the_others_default() -> None:
    assert read_flags(["--host=0.0.0.0"]).given["listen"]["users"].texts == ("0.0.0.0:8080",)
    assert read_flags(["--port=81"]).given["listen"]["users"].texts == ("127.0.0.1:81",)


@pytest.mark.parametrize("port", ["-1", "65536", "http", "١"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(SettingsError, match="^--port: is '.*', but must be a number from 0 to 65535$"):
        read_flags([f"--port={port}"])


@pytest.mark.parametrize("argument", ["--opn", "--ope", "--listen=8080"])
def test_what_is_no_flag_is_refused(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_flags([argument])

    assert (ended.value.code, argument in capsys.readouterr().err) == (2, True)
