"""A proxy whose users sign in at a real OpenID provider, and an agent of its one backend."""

from pathlib import Path
from typing import Any, Final

from tests.openid.provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, Visitor
from tests.system.protected import Protected

SESSION: Final = "inverting-proxy-session"
KEY: Final = "a key of the operator's, which is long enough"


class World:
    """A proxy, its provider, and a backend that tells what arrived."""

    def __init__(self, folder: Path, backend_url: str, *, provider: Any = None, **users: Any) -> None:
        (folder / "secret").write_text(f"{CLIENT_SECRET}\n")
        (folder / "session.keys").write_text(f"{KEY}\n")
        self.keys = folder / "session.keys"
        placeholder = {"sign-in": "public"}
        self.proxy = Protected(folder, {"users": placeholder})
        self.url = self.proxy.url
        try:
            self.provider = OpenIdProvider(folder, self.url, **(provider or {}))
        except BaseException:
            self.proxy.stop()
            raise
        self.users = {
            "sign-in": "oidc",
            "public-urls": [self.url],
            "allowed": ["@example.org"],
            "oidc-issuer": self.provider.issuer,
            "oidc-client-id": CLIENT_ID,
            "oidc-client-secret": str(folder / "secret"),
            "session-keys": str(self.keys),
            **users,
        }
        self.proxy.restart(users=self.users)
        self.proxy.start_agent(backend_url)

    def visitor(self, name: str = "ada") -> Visitor:
        """Somebody who has signed in."""
        visitor = Visitor()
        url, reply = visitor.sign_in(f"{self.url}/who", name)
        assert (url, reply.reason in (None, "no-agent")) == (f"{self.url}/who", True), (url, reply)
        return visitor

    def stop(self) -> None:
        self.proxy.stop()
        self.provider.stop()
