"""What the settings put between proxy and backend; what each of it does, its own tests say."""

from datetime import UTC, datetime

import pytest

from agent.handling import Handling, build_handling
from agent.proxy.errors import Gone
from agent.settings.load import load_settings
from agent.telemetry.observer import UNOBSERVED
from agent.transport.upgrading import Changed
from wire.protocol import RequestId


def nobody_waits(request_id: RequestId) -> Changed:
    raise Gone(request_id)


def handling_of(*flags: str) -> Handling:
    settings = load_settings(["--proxy=http://127.0.0.1:1", "--backend=b", "--credentials=none", *flags], {})
    return build_handling(
        settings.agents[0], open_tunnel=nobody_waits, observer=UNOBSERVED, now=lambda: datetime.now(UTC)
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), True),
        (("--strip-credentials", "--forward-user-id", "--path-map=/a=http://localhost:1"), True),
        (("--shim-websockets",), False),
        (("--shim-path=shim",), False),
        (("--session-cookie-name=session",), False),
        (("--inject-banner=<p>x</p>",), False),
    ],
)
def test_it_is_direct_where_nothing_but_header_fields_is_changed(flags: tuple[str, ...], expected: bool) -> None:
    assert handling_of(*flags).is_direct == expected


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (("--disable-native-websockets",), 0),
        ((), 1),
        (("--shim-path=shim",), 2),
    ],
)
def test_what_carries_websockets_works_beside_the_handler(flags: tuple[str, ...], parts: int) -> None:
    assert len(handling_of(*flags).parts) == parts


def test_a_path_goes_to_the_server_that_has_it() -> None:
    backends = handling_of("--host=http://127.0.0.1:2", "--path-map=/a=http://127.0.0.1:3").backends

    assert [backends.choose(target).host for target in ("/", "/a/b", "/ab")] == [
        "127.0.0.1:2",
        "127.0.0.1:3",
        "127.0.0.1:2",
    ]


def test_the_rules_for_header_fields_are_those_of_the_settings() -> None:
    rules = handling_of("--forward-user-id").rules

    assert (rules.forwards_user_id, rules.strips_credentials, rules.users_scheme) == (True, False, "http")
