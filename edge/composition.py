"""The identity that settings ask for; called by composition roots alone."""

import requests

from broker.waiting import Clock
from edge.certificates import Certificates
from edge.identity import DevIdentity, Identity
from edge.oidc import GOOGLE, IAP, Issuer, OidcIdentity, TokenReader
from edge.settings import IdentitySettings


def choose_identity(settings: IdentitySettings, clock: Clock) -> Identity:
    """The one identity of a service."""
    if settings.kind == "dev":
        return DevIdentity(end_user=settings.dev_end_user, admins=settings.admins)
    if settings.kind == "appengine":
        from edge.appengine import AppEngineIdentity  # slow to import: App Engine's SDK

        return AppEngineIdentity(clock, admins=settings.admins)
    session = requests.Session()

    def reader(issuer: Issuer, audience: str) -> TokenReader:
        return TokenReader(issuer, audience, Certificates(session, clock, issuer.certificates_url))

    return OidcIdentity(
        tokens=reader(GOOGLE, settings.oidc_audience),
        assertions=reader(IAP, settings.iap_audience) if settings.iap_audience else None,
        admins=settings.admins,
    )
