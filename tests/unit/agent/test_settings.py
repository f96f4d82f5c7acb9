"""What the agent makes of its command line and environment."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.commandline.flags import FlagError
from agent.settings import FLAGS, Settings, SettingsRequest, is_loopback, load_settings

REQUIRED = ["--proxy=https://proxy.example.com/", "--backend=notebook"]


def load(*arguments: str, **environment: str) -> Settings:
    return load_settings([*REQUIRED, *arguments], environment)


def test_the_defaults_are_those_of_the_original() -> None:
    settings = load(HOME="/home/somebody")
    assert (settings.proxy, settings.backend, settings.host) == (
        "https://proxy.example.com",
        "notebook",
        "http://localhost:8080",
    )
    assert (settings.credentials, settings.concurrency) == ("google", 64)
    assert settings.graceful_shutdown_timeout == timedelta(seconds=30)
    assert settings.google.gcloud_folder == Path("/home/somebody/.config/gcloud")
    assert settings.google.metadata_host == "169.254.169.254"
    flags = ("debug", "forward_user_id", "strip_credentials", "disable_gce_vm_header")
    assert [getattr(settings, name) for name in flags] == [False] * 4


def test_the_environment_of_the_originals_image_is_enough() -> None:
    environment = {
        "PROXY": "https://p.example.com/", "BACKEND": "b", "HOSTNAME": "h", "PORT": "81", "PROXY_TIMEOUT": "50s",
        "REQUEST_FORWARDING_TIMEOUT": "1m", "DEBUG": "true", "FORWARD_USER_ID": "true",
    }  # fmt: skip
    settings = load_settings([], environment)
    assert (settings.proxy, settings.backend, settings.host) == ("https://p.example.com", "b", "http://h:81")
    assert (settings.poll_limit, settings.forwarding_limit) == (timedelta(seconds=50), timedelta(minutes=1))
    assert (settings.debug, settings.forward_user_id) == (True, True)


def test_every_flag_has_an_environment_name_of_its_own() -> None:
    assert len({flag.environment_name for flag in FLAGS}) == len(FLAGS)


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({"HOSTNAME": "pod-1"}, "http://localhost:8080"),
        ({"PORT": "81"}, "http://localhost:81"),
        ({"HOSTNAME": "h", "PORT": "81"}, "http://h:81"),
    ],
)
def test_a_hostname_without_a_port_says_nothing(environment: dict[str, str], host: str) -> None:
    assert load(**environment).host == host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("h:81", "http://h:81"),
        ("http://h:81/", "http://h:81"),
        ("https://h", "https://h"),
        ("[::1]:81", "http://[::1]:81"),
    ],
)
def test_the_backend_is_a_host_and_port_or_a_url(text: str, host: str) -> None:
    assert load("--host", text).host == host


@pytest.mark.parametrize(
    ("poll", "forwarding", "limits"),
    [
        ("60s", "0s", (60, 60)),
        ("60s", "90s", (60, 90)),
        ("60s", "10s", (60, 60)),
        ("0", "10s", (None, None)),
    ],
)
def test_the_larger_time_out_counts_for_the_backend(
    poll: str, forwarding: str, limits: tuple[int | None, int | None]
) -> None:
    settings = load(f"--proxy-timeout={poll}", f"--request-forwarding-timeout={forwarding}")
    found = (settings.poll_limit, settings.forwarding_limit)
    assert tuple(limit and limit.total_seconds() for limit in found) == limits


@pytest.mark.parametrize("text", ["google", "none", "file:/a/b"])
def test_credentials_are_one_of_three_kinds(text: str) -> None:
    assert load("--credentials", text).credentials == text


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--proxy=", "http:// or https://"),
        ("--proxy=proxy.example.com", "http:// or https://"),
        ("--proxy=ftp://x", "http:// or https://"),
        ("--proxy=https://", "http:// or https://"),
        ("--proxy=https://user:password@x", "http:// or https://"),
        ("--proxy=https://x?q", "http:// or https://"),
        ("--proxy=https://x#f", "http:// or https://"),
        ("--proxy=https://x:0", "http:// or https://"),
        ("--proxy=https://x:99999", "http:// or https://"),
        ("--proxy=https://x/\u00e9", "http:// or https://"),
        ("--backend=", "a backend ID"),
        ("--backend=a b", "a backend ID"),
        ("--host=http://h/path", "HOST:PORT"),
        ("--host=unix:///x", "HOST:PORT"),
        ("--credentials=file:", "file:PATH"),
        ("--credentials=token", "file:PATH"),
        ("--concurrency=0", "1 to 1000"),
        ("--concurrency=1001", "1 to 1000"),
        ("--concurrency=many", "1 to 1000"),
        ("--proxy-timeout=-1s", "a duration"),
        ("--debug=maybe", "true or false"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_flag(argument: str, expected: str) -> None:
    with pytest.raises(FlagError) as caught:
        load(argument)
    message = str(caught.value)
    assert (message.startswith(argument.partition("=")[0]), expected in message, "\n" in message) == (True, True, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_credentials_may_travel_over_plain_http_to_this_machine(host: str) -> None:
    assert load(f"--proxy=http://{host}:8080").credentials == "google"


@pytest.mark.parametrize("credentials", ["google", "file:/token"])
def test_credentials_never_travel_over_plain_http_elsewhere(credentials: str) -> None:
    with pytest.raises(FlagError, match="https://"):
        load("--proxy=http://proxy.example.com", f"--credentials={credentials}")


def test_no_credentials_may_travel_anywhere() -> None:
    assert load("--proxy=http://proxy.example.com", "--credentials=none").proxy == "http://proxy.example.com"


@pytest.mark.parametrize(("argument", "text"), [("--help", "--graceful-shutdown-timeout"), ("-version", "agent")])
def test_help_and_version_are_texts(argument: str, text: str) -> None:
    with pytest.raises(SettingsRequest, match=text):
        load_settings([argument], {})


@pytest.mark.parametrize(("host", "found"), [("127.8.9.1", True), ("::1", True), ("10.0.0.1", False), ("lo", False)])
def test_loopback_is_an_address_of_this_machine(host: str, found: bool) -> None:
    assert is_loopback(host) is found


def test_googles_places_may_be_elsewhere() -> None:
    found = load(CLOUDSDK_CONFIG="/c", CLOUDSDK_ACTIVE_CONFIG_NAME="work", GCE_METADATA_HOST="m:80").google
    assert (found.gcloud_folder, found.gcloud_configuration, found.metadata_host) == (Path("/c"), "work", "m:80")
