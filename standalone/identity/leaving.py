"""Signing out: here, and at the provider where it has a page for that.

https://openid.net/specs/openid-connect-rpinitiated-1_0.html
"""

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from broker.errors import NotAllowed
from edge.audit import log_change
from edge.errors import Refusal
from standalone.calls import Call
from standalone.identity.desk import SIGN_OUT, SIGNED_OUT, Desk, read_pairs, redirect
from standalone.identity.guests import may_sign_out, sign_out_token
from standalone.identity.origins import Origin
from standalone.identity.pages import form_fields
from standalone.identity.screens import sign_out_page, signed_out_page
from wire.errors import MalformedMessage, MessageTooLarge

_FORM_TIME: Final = timedelta(seconds=10)
_MAX_FORM: Final = 8 << 10


class Leaving:
    """Lets users out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ask(self, call: Call, origin: Origin) -> None:
        """The page with the button: a link alone signs nobody out, because other pages have links, too."""
        desk = self._desk
        session = desk.session_of(call, origin)
        if session is None:
            await self.say(call, origin)
            return
        headers, body = sign_out_page(
            user=session.user,
            action=SIGN_OUT,
            token=sign_out_token(session, desk.keys()),
            leads_to=await self._provider_url(origin),
        )
        await call.answer(200, headers, body)

    async def sign_out(self, call: Call, origin: Origin) -> None:
        """What the button sends. Raises `NotAllowed` for what another page sends."""
        desk = self._desk
        desk.refuse_foreign_change(call.head, origin)
        form = await _read_form(call)
        session = desk.session_of(call, origin)
        if session is None:
            await redirect(call, SIGNED_OUT, status=303)
            return
        if not may_sign_out(form.get("token", ""), session, desk.keys()):
            raise NotAllowed("to sign out takes the form of the page for it", authenticated=True)
        call.add_fields(await desk.book.end(session, origin, now=desk.clock.now()))
        log_change("sign-out", by=session.user, peer=call.client.address)
        await redirect(call, await self._provider_url(origin) or SIGNED_OUT, status=303)

    async def say(self, call: Call, origin: Origin) -> None:
        """The page behind that."""
        headers, body = signed_out_page()
        await call.answer(200, headers, body)

    async def _provider_url(self, origin: Origin) -> str:
        """Where somebody signs out of the provider, too; empty where there is no such page, or it is not known now."""
        if not self._desk.rules.signs_out_at_provider:
            return ""
        try:
            endpoint = (await self._desk.metadata()).end_session_endpoint
        except Refusal:
            return ""
        asked = {"client_id": self._desk.client.client_id, "post_logout_redirect_uri": f"{origin}{SIGNED_OUT}"}
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}" if endpoint else ""


async def _read_form(call: Call) -> dict[str, str]:
    if not form_fields(call.head.headers):
        raise MalformedMessage("Content-Type: a form is expected")
    data, is_last = b"", call.head.length in (None, 0)
    while not is_last:
        more, is_last = await call.read(_FORM_TIME)
        data += more
        if len(data) > _MAX_FORM:
            raise MessageTooLarge(f"form over the limit of {_MAX_FORM} bytes")
    return dict(read_pairs(data.decode("latin-1")))
