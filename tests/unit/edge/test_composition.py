"""`edge.composition`: each setting gives its identity."""

from edge.appengine import AppEngineIdentity
from edge.composition import choose_identity
from edge.identity import Caller, DevIdentity
from edge.oidc import OidcIdentity
from edge.settings import IdentitySettings
from tests.fakes.clock import FakeClock
from wire.headers import Headers


def test_each_kind_of_identity_can_be_chosen() -> None:
    kinds = {
        "dev": IdentitySettings(kind="dev", dev_end_user="me@b.c"),
        "oidc": IdentitySettings(kind="oidc", oidc_audience="https://proxy"),
        "appengine": IdentitySettings(kind="appengine"),
    }
    chosen = {kind: type(choose_identity(settings, FakeClock())) for kind, settings in kinds.items()}

    assert chosen == {"dev": DevIdentity, "oidc": OidcIdentity, "appengine": AppEngineIdentity}


def test_a_developers_identity_has_the_user_of_the_settings() -> None:
    identity = choose_identity(IdentitySettings(kind="dev", dev_end_user="me@b.c"), FakeClock())

    assert identity.end_user(Caller(Headers())) == "me@b.c"
