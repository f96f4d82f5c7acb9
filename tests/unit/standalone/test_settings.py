from datetime import timedelta

import pytest

from edge.settings import SettingsError
from standalone.settings import Settings


def test_the_defaults_are_this_machine_alone_and_the_times_of_the_policy() -> None:
    settings = Settings.from_arguments(["--open"])

    assert (settings.host, settings.port, settings.is_reachable_from_elsewhere) == ("127.0.0.1", 8080, False)
    assert (settings.policy.response_wait, settings.policy.idle_wait) == (timedelta(seconds=30), timedelta(seconds=30))
    assert (settings.policy.max_body_bytes, settings.stop_wait) == (32_000_000, timedelta(seconds=8))


def test_every_flag_is_read() -> None:
    settings = Settings.from_arguments(
        [
            "--open",
            "--host=::1",
            "--port=0",
            "--response-timeout=2m",
            "--idle-timeout=500ms",
            "--max-body-bytes=7",
            "--graceful-shutdown-timeout=1.5s",
        ]
    )

    assert (settings.host, settings.port, settings.policy.max_body_bytes) == ("::1", 0, 7)
    assert settings.policy.response_wait == timedelta(minutes=2)
    assert settings.policy.idle_wait == timedelta(milliseconds=500)
    assert settings.stop_wait == timedelta(seconds=1.5)


def test_a_request_is_not_waited_for_to_be_fetched_for_longer_than_to_be_answered() -> None:
    settings = Settings.from_arguments(["--open", "--response-timeout=3s"])

    assert settings.policy.fetch_wait == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("host", "reachable"),
    [("127.0.0.1", False), ("127.9.9.9", False), ("::1", False), ("localhost", False), ("0.0.0.0", True)]
    + [("192.0.2.1", True), ("proxy.example", True), ("::", True)],
)
def test_an_address_beyond_this_machine_is_known_as_such(host: str, reachable: bool) -> None:
    assert Settings.from_arguments(["--open", f"--host={host}"]).is_reachable_from_elsewhere == reachable


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "--open"),
        (["--open", "--port=-1"], "--port"),
        (["--open", "--port=65536"], "--port"),
        (["--open", "--port=http"], "--port"),
        (["--open", "--response-timeout=0s"], "--response-timeout"),
        (["--open", "--idle-timeout=30"], "--idle-timeout"),
        (["--open", "--max-body-bytes=1e9"], "--max-body-bytes"),
        (["--open", "--graceful-shutdown-timeout=soon"], "--graceful-shutdown-timeout"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named(arguments: list[str], name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        Settings.from_arguments(arguments)


@pytest.mark.parametrize("argument", ["--opn", "--ope", "--listen=8080"])
def test_what_is_no_flag_is_refused(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Settings.from_arguments(["--open", argument])

    assert (ended.value.code, argument in capsys.readouterr().err) == (2, True)
