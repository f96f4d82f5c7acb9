"""A portal with a provider of our own, and visitors whose requests are scripts: for tests of signing in and out."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import count
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from standalone.calls import REQUEST_EXTENSION, Call, Message
from standalone.identity.desk import BACK, Desk, Rules
from standalone.identity.guests import GuestBook
from standalone.identity.origins import Origins, parse_origin
from standalone.identity.portal import Portal
from standalone.identity.provider import Provider
from standalone.identity.reception import Guest
from standalone.identity.redemption import ClientCredentials
from standalone.identity.sessions import Lifetimes
from standalone.identity.throttle import Throttle
from tests.fakes.clock import FakeClock
from tests.unit.standalone.identity.signer import ISSUER, FakeWeb, Signer
from wire.headers import Headers
from wire.http1 import Length, RequestHead

HOST: Final = "proxy.example.org"
ORIGIN: Final = f"https://{HOST}"
NAVIGATION: Final = (("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html"))
SIGNER: Final = Signer("key")
LIVES: Final = Lifetimes(absolute=timedelta(hours=12), idle=timedelta(hours=1))


class Answer:
    """What came back: whom it admits, or an answer of the portal's own."""

    def __init__(self, guest: Guest | None, call: Call, sent: list[Message]) -> None:
        self.guest = guest
        self.call = call
        self._sent = sent

    @property
    def status(self) -> int:
        status: int = self._sent[0]["status"]
        return status

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self._sent).decode()

    def get_all(self, name: str) -> list[str]:
        fields = [(key.decode(), value.decode()) for key, value in self._sent[0]["headers"]]
        return [value for key, value in fields if key.lower() == name.lower()]

    @property
    def location(self) -> str:
        (location,) = self.get_all("Location")
        return location


class Lobby:
    """The portal; to be made in an event loop."""

    def __init__(self, *, origins: Iterable[str] = (ORIGIN,), **rules: Any) -> None:
        self.clock = FakeClock()
        self.web = FakeWeb(SIGNER)
        self.keys = (b"k" * 32,)
        words = count(1)
        given = {
            "scopes": "openid email",
            "allowed": frozenset({"@example.org"}),
            "allowed_origins": frozenset(),
            "trusts_addresses": False,
            "signs_out_at_provider": True,
        }
        self.desk = Desk(
            rules=Rules(origins=Origins(map(parse_origin, origins)), **(given | rules)),
            provider=Provider(ISSUER, self.web, self.clock),
            client=ClientCredentials("client", lambda: "secret"),
            book=GuestBook(LIVES),
            keys=lambda: self.keys,
            clock=self.clock,
            throttle=Throttle(),
            new_word=lambda: f"word-{next(words)}",
        )
        self.portal = Portal(self.desk)


class Visitor:
    """Somebody with a browser that keeps cookies."""

    def __init__(self, lobby: Lobby, host: str = HOST) -> None:
        self.lobby = lobby
        self.host = host
        self.cookies: dict[str, str] = {}

    async def send(
        self, method: str, target: str, *fields: tuple[str, str], body: bytes = b"", with_cookies: bool = True
    ) -> Answer:
        """One request. Raises what the portal does; its cookies are kept even then."""
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        cookie = (("Cookie", pairs),) if pairs and with_cookies else ()
        length: Length = len(body) if body else None
        head = RequestHead(method, target, Headers((("Host", self.host), *fields, *cookie)), length)
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"extensions": {REQUEST_EXTENSION: {"head": head}}, "client": ("192.0.2.1", 1), "scheme": "https"}
        call = Call(scope, receive, send, clock=self.lobby.clock)
        try:
            return Answer(await self.lobby.portal.admit(call), call, sent)
        finally:
            self._keep(call.fields)

    def _keep(self, fields: Iterable[tuple[str, str]]) -> None:
        for _, field in fields:
            name, _, value = field.partition(";")[0].partition("=")
            if "Max-Age=0" in field:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    async def open(self, target: str) -> Answer:
        """Open a page."""
        return await self.send("GET", target, *NAVIGATION)

    async def begin(self, target: str = "/page") -> dict[str, str]:
        """What the provider is asked when somebody without a session opens a page."""
        asked = parse_qs(urlsplit((await self.open(target)).location).query)
        return {name: values[0] for name, values in asked.items()}

    async def come_back(self, asked: dict[str, str], /, **changes: str) -> Answer:
        """With the provider's answer, whose token has what a test says."""
        claims: dict[str, Any] = {"nonce": asked["nonce"], "email": "ada@example.org", "email_verified": True}
        self.lobby.web.answer = (200, {"id_token": SIGNER.token(**claims), "access_token": "a"})
        return await self.answer(state=asked["state"], code="code", **changes)

    async def answer(self, **values: str) -> Answer:
        """With any answer."""
        return await self.open(f"{BACK}?{urlencode(values)}")

    async def sign_in(self) -> None:
        """All of it."""
        await self.come_back(await self.begin())
