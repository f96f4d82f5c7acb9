"""`standalone.settings.urls`: what several tables say of OpenID providers."""

from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings.agents import AgentSettings
from standalone.settings.keys import Given
from standalone.settings.urls import provider_keys


def agents(**keys: str) -> AgentSettings:
    return AgentSettings.of(
        {name.replace("_", "-"): Given((value,), f"agents.{name.replace('_', '-')}") for name, value in keys.items()}
    )


@pytest.mark.parametrize("url", ["https://accounts.google.com", "http://localhost:8080/realms/x"])
def test_an_issuer_is_reached_by_tls_or_on_this_machine(url: str) -> None:
    assert provider_keys("help")[0].value_of(Given((url,), "x")) == url


@pytest.mark.parametrize("url", ["accounts.google.com", "http://accounts.google.com", "ftp://x"])
def test_another_issuer_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="must be an https:// URL"):
        provider_keys("help")[0].value_of(Given((url,), "agents.oidc-issuer"))


def test_an_issuer_needs_an_audience_and_the_other_way_round() -> None:
    assert agents(oidc_issuer="https://id", oidc_audience="a").knows_anybody
    with pytest.raises(SettingsError, match="^agents.oidc-audience: is not set, but must be, with agents.oidc-issuer$"):
        agents(oidc_issuer="https://id")
    with pytest.raises(SettingsError, match="^agents.oidc-issuer: is not set, but must be, with agents.oidc-audience$"):
        agents(oidc_audience="a")


def test_who_signs_a_providers_certificate_is_said_of_a_provider(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    ca_file = {"oidc_ca_file": str(tmp_path / "ca.pem")}
    with pytest.raises(SettingsError, match="^agents.oidc-issuer: is not set, but must be, with agents.oidc-ca-file$"):
        agents(**ca_file)
    with pytest.raises(SettingsError, match="^agents.oidc-ca-file: .*/ca.pem has no certificate in it, but must"):
        agents(**ca_file, oidc_issuer="https://id", oidc_audience="a")
