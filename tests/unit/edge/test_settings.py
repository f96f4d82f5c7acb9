"""`edge.settings`: what is read, and what is refused with the name of the setting first."""

from datetime import timedelta

import pytest

from broker.policy import Policy
from edge.settings import Deployment, IdentitySettings, SettingsError, read_count, read_duration, read_switch

DEV = {"IDENTITY": "dev", "ADMINS": "Boss@b.c, other@b.c,"}


@pytest.mark.parametrize(
    ("text", "duration"),
    [("30s", 30.0), ("500ms", 0.5), ("2m", 120.0), ("1.5h", 5400.0), ("", 7.0)],
)
def test_a_duration_is_a_number_with_a_unit(text: str, duration: float) -> None:
    assert read_duration({"T": text}, "T", timedelta(seconds=7)) == timedelta(seconds=duration)


@pytest.mark.parametrize("text", ["30", "-1s", "0s", "1d", "s", "1s ", "1e9s", "9" * 30 + "h"])
def test_another_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^T: "):
        read_duration({"T": text}, "T", timedelta(seconds=7))


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "1_000"])
def test_a_count_is_a_whole_number_above_zero(text: str) -> None:
    assert read_count({"N": "12"}, "N", 7) == 12
    assert read_count({}, "N", 7) == 7
    with pytest.raises(SettingsError, match=r"^N: "):
        read_count({"N": text}, "N", 7)


def test_a_switch_is_off_unless_it_says_true() -> None:
    assert (read_switch({}, "S"), read_switch({"S": "true"}, "S"), read_switch({"S": "false"}, "S")) == (
        False,
        True,
        False,
    )
    with pytest.raises(SettingsError, match=r"^S: is 'yes'"):
        read_switch({"S": "yes"}, "S")


def test_a_developers_deployment_has_the_defaults_of_the_policy() -> None:
    deployment = Deployment.from_env(DEV | {"DEV_END_USER": "me@b.c"})

    assert deployment == Deployment(
        identity=IdentitySettings(kind="dev", admins=frozenset({"boss@b.c", "other@b.c"}), dev_end_user="me@b.c"),
        policy=Policy(),
        project="",
        namespace="",
        memcache=None,
        log_format="text",
        on_appengine=False,
    )


def test_a_deployment_takes_its_numbers_from_the_environment() -> None:
    deployment = Deployment.from_env(
        DEV
        | {
            "RESPONSE_TIMEOUT": "50s",
            "IDLE_TIMEOUT": "20s",
            "BACKENDS_AGE": "2s",
            "MAX_BODY_BYTES": "1000",
            "GOOGLE_CLOUD_PROJECT": "p",
            "DATASTORE_NAMESPACE": "n",
            "MEMCACHE": "cache.internal:11211",
            "LOG_FORMAT": "json",
        }
    )

    assert deployment.policy.response_wait == timedelta(seconds=50)
    assert deployment.policy.idle_wait == timedelta(seconds=20)
    assert deployment.policy.backends_age == timedelta(seconds=2)
    assert deployment.policy.max_body_bytes == 1000
    assert (deployment.project, deployment.namespace, deployment.log_format) == ("p", "n", "json")
    assert deployment.memcache == ("cache.internal", 11211)


def test_on_app_engine_the_log_is_json_unless_told_otherwise() -> None:
    on_appengine = {"IDENTITY": "appengine", "GAE_ENV": "standard"}

    assert Deployment.from_env(on_appengine).log_format == "json"
    assert Deployment.from_env(on_appengine).on_appengine
    assert Deployment.from_env(on_appengine | {"LOG_FORMAT": "text"}).log_format == "text"


@pytest.mark.parametrize(
    ("environ", "setting"),
    [
        ({}, "IDENTITY"),
        ({"IDENTITY": "none"}, "IDENTITY"),
        ({"IDENTITY": "appengine"}, "IDENTITY"),
        ({"IDENTITY": "appengine", "GAE_ENV": "localdev"}, "IDENTITY"),
        (DEV | {"GAE_ENV": "standard"}, "IDENTITY"),
        ({"IDENTITY": "dev"}, "ADMINS"),
        ({"IDENTITY": "dev", "ADMINS": "boss"}, "ADMINS"),
        ({"IDENTITY": "oidc", "ADMINS": "a@b.c"}, "OIDC_AUDIENCE"),
        ({"IDENTITY": "oidc", "OIDC_AUDIENCE": "https://proxy"}, "ADMINS"),
        (DEV | {"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
        (DEV | {"RESPONSE_TIMEOUT": "soon"}, "RESPONSE_TIMEOUT"),
        (DEV | {"MEMCACHE": "localhost"}, "MEMCACHE"),
        (DEV | {"MEMCACHE": "localhost:99999"}, "MEMCACHE"),
    ],
)
def test_what_is_unsafe_or_missing_is_refused_by_name(environ: dict[str, str], setting: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{setting}: "):
        Deployment.from_env(environ)
