"""Users sign in at an OpenID provider; the proxy keeps a session for them, in a cookie.

A page that somebody opens without a session leads to the provider and back; any other request is 401. Whoever has a
session comes in, unless a page of another site makes his browser change something.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from broker.forwarding import in_origin_form
from broker.routing import path_of
from edge.errors import NO_SUCH_PATH, Refusal, method_not_allowed
from standalone.calls import Call
from standalone.identity.arriving import Arriving
from standalone.identity.desk import BACK, NOT_SIGNED_IN, PREFIX, SIGN_IN, SIGN_OUT, SIGNED_OUT, UNKNOWN_HOST, Desk
from standalone.identity.leaving import Leaving
from standalone.identity.origins import Origin
from standalone.identity.pages import is_navigation
from standalone.identity.reception import Guest
from wire.http1 import RequestHead

Page = Callable[[Call, Origin], Awaitable[None]]


class Portal:
    """The reception of users who sign in at a provider."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._arriving = Arriving(desk)
        leaving = Leaving(desk)
        self._pages: Final[Mapping[str, Mapping[str, Page]]] = {
            SIGN_IN: {"GET": self._arriving.sign_in},
            BACK: {"GET": self._arriving.take_answer},
            SIGN_OUT: {"GET": leaving.ask, "POST": leaving.sign_out},
            SIGNED_OUT: {"GET": leaving.say},
        }

    async def admit(self, call: Call) -> Guest | None:
        """Whom a request comes from; None where a page of ours has answered it."""
        head = in_origin_form(call.head)
        origin = self._desk.rules.origins.find(call.client.host or head.headers.get("Host") or "")
        if origin is None:
            raise Refusal(UNKNOWN_HOST)
        if head.target.startswith(PREFIX):
            await self._serve_page(call, head, origin)
            return None
        session = self._desk.session_of(call, origin)
        if session is None:
            if not is_navigation(head):
                raise Refusal(NOT_SIGNED_IN)
            await self._arriving.lead_to_provider(call, origin, head.target)
            return None
        self._desk.refuse_foreign_change(head, origin)
        now = self._desk.clock.now()
        if self._desk.book.lifetimes.is_due(session, now=now):
            call.add_fields(self._desk.book.write(session, origin, self._desk.keys(), now=now))
        return Guest(session.user, call.head, may_stay=lambda: not self._desk.book.is_ended(session))

    async def _serve_page(self, call: Call, head: RequestHead, origin: Origin) -> None:
        methods = self._pages.get(path_of(head.target))
        if methods is None:
            raise Refusal(NO_SUCH_PATH)
        page = methods.get(head.method)
        if page is None:
            raise Refusal(method_not_allowed(*methods))
        await page(call, origin)
