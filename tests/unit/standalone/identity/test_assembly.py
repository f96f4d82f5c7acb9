"""`standalone.identity.assembly`: settings become what stands at the doors."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.errors import NotAllowed
from broker.policy import Policy
from edge.identity import Caller
from standalone.identity.access import OPEN, Access
from standalone.identity.assembly import assemble
from standalone.identity.portal import Portal
from standalone.identity.reception import FrontReception, PublicReception
from standalone.settings.load import load_settings
from standalone.tokens import add
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, a_backend
from tests.fakes.clock import FakeClock
from wire.headers import Headers

Assemble = Callable[..., Access]


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """A token of `ci` for agents, one of `boss` for administrators."""
    return {
        "agents": add(tmp_path / "agents", "ci"),
        "administrators": add(tmp_path / "administrators", "boss"),
    }


def assembled(folder: Path, **keys: str) -> Access:
    environ = {"AGENTS_TOKENS": str(folder / "agents"), "USERS_SIGN_IN": "public"} | keys
    settings = load_settings([], {f"INVERTING_PROXY_{name}": value for name, value in environ.items()})
    store = MemoryStore(Policy())
    store.put_backend(a_backend(backend_user="ci"))
    return assemble(settings, store=store, clock=FakeClock(), is_trusted=lambda peer: False)


def bearer(token: str) -> Caller:
    return Caller(Headers([("Authorization", f"Bearer {token}")]))


def test_an_open_proxy_has_open_doors() -> None:
    settings = load_settings(["--open"], {})

    assert assemble(settings, store=MemoryStore(Policy()), clock=FakeClock(), is_trusted=bool) is OPEN


def test_agents_are_known_by_their_tokens_and_no_others(tmp_path: Path, tokens: dict[str, str]) -> None:
    access = assembled(tmp_path)

    asyncio.run(access.gate(bearer(tokens["agents"]), BACKEND))
    with pytest.raises(NotAllowed):
        asyncio.run(access.gate(bearer(tokens["administrators"]), BACKEND))
    assert (access.is_open, access.admin) == (False, None)


def test_administrators_are_known_by_theirs(tmp_path: Path, tokens: dict[str, str]) -> None:
    access = assembled(tmp_path, ADMINISTRATORS_TOKENS=str(tmp_path / "administrators"))
    assert access.admin is not None

    assert asyncio.run(access.admin(bearer(tokens["administrators"]))) == "boss"
    with pytest.raises(NotAllowed):
        asyncio.run(access.admin(bearer(tokens["agents"])))
    assert len(access.files) == 2


def test_users_come_in_as_the_settings_say(tmp_path: Path, tokens: dict[str, str]) -> None:
    behind_front = assembled(
        tmp_path, USERS_SIGN_IN="header", USERS_HEADER="X-User", LISTEN_TRUSTED_PEERS="unix"
    ).reception

    assert isinstance(assembled(tmp_path).reception, PublicReception)
    assert isinstance(behind_front, FrontReception)


def test_users_who_sign_in_find_a_portal_whose_keys_may_change(tmp_path: Path, tokens: dict[str, str]) -> None:
    for name in ("keys", "secret"):
        (tmp_path / name).write_text("a secret of more than 32 characters\n")
    oidc = {
        "SIGN_IN": "oidc",
        "ALLOWED": "@example.org",
        "PUBLIC_URLS": "https://proxy.example.org",
        "OIDC_ISSUER": "https://id.example.org",
        "OIDC_CLIENT_ID": "proxy",
    }

    async def scenario() -> None:
        without = assembled(tmp_path, **{f"USERS_{name}": value for name, value in oidc.items()})
        files = {"SESSION_KEYS": str(tmp_path / "keys"), "OIDC_CLIENT_SECRET": str(tmp_path / "secret")}
        access = assembled(tmp_path, **{f"USERS_{name}": value for name, value in (oidc | files).items()})
        assert isinstance(without.reception, Portal) and isinstance(access.reception, Portal)
        assert (len(without.files), len(access.files)) == (1, 3)

    asyncio.run(scenario())


def test_agents_may_be_known_by_a_provider(tmp_path: Path, tokens: dict[str, str]) -> None:
    async def scenario() -> None:
        access = assembled(tmp_path, AGENTS_OIDC_ISSUER="https://id.example.org", AGENTS_OIDC_AUDIENCE="proxy")
        await access.gate(bearer(tokens["agents"]), BACKEND)

    asyncio.run(scenario())


def test_without_a_provider_nothing_is_imported_that_speaks_to_one(tmp_path: Path, tokens: dict[str, str]) -> None:
    script = (
        "import sys, standalone.composition; print(sorted({'joserfc', 'requests', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
