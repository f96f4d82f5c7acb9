"""`standalone.settings.administrators`."""

from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings.administrators import AdministratorSettings
from standalone.settings.keys import Given

OIDC = {"oidc-issuer": ["https://id"], "oidc-audience": ["api"]}


def administrators(**keys: list[str]) -> AdministratorSettings:
    return AdministratorSettings.of(
        {name: Given(tuple(values), f"administrators.{name}") for name, values in keys.items()}
    )


def test_accounts_of_a_provider_are_listed_in_lower_case() -> None:
    assert administrators(**OIDC, accounts=["Boss@Example.org", "ops"]).accounts == ("boss@example.org", "ops")


@pytest.mark.parametrize(
    ("keys", "missing", "given"),
    [(OIDC, "accounts", "oidc-issuer"), ({"accounts": ["boss@example.org"]}, "oidc-issuer", "accounts")],
)
def test_a_provider_and_a_list_of_its_accounts_go_together(
    keys: dict[str, list[str]], missing: str, given: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        administrators(**keys)
    assert str(refused.value) == f"administrators.{missing}: is not set, but must be, with administrators.{given}"


@pytest.mark.parametrize("account", ["a b", "allUsers", ""])
def test_an_account_has_a_name(account: str) -> None:
    with pytest.raises(SettingsError, match="^administrators.accounts: is '.*', but must be an e-mail address"):
        administrators(**OIDC, accounts=[account])


def test_its_tokens_are_read(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("x")
    with pytest.raises(SettingsError, match="^administrators.tokens: .*: line 1: "):
        administrators(tokens=[str(tmp_path / "tokens")])
