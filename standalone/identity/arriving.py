"""Signing in: to the provider, and back with its answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from broker.errors import StoreUnavailable
from edge.audit import log_change
from edge.errors import Refusal
from edge.logs import escaped
from standalone.calls import Call
from standalone.identity.accounts import TOO_MANY_GUESSES
from standalone.identity.desk import (
    BACK,
    PATIENCE,
    SIGN_IN_FAILED,
    SIGN_IN_OVER,
    SIGN_IN_REFUSED,
    SIGN_IN_UNAVAILABLE,
    TOO_LONG_TO_COME_BACK,
    Desk,
    query_of,
    redirect,
)
from standalone.identity.guests import find_sign_in, forget_sign_in, write_sign_in
from standalone.identity.id_tokens import Claims
from standalone.identity.listed import require_listed
from standalone.identity.origins import Origin
from standalone.identity.redemption import NotRedeemed, redeem
from standalone.identity.returning import HOME, return_target
from standalone.identity.sealing import TooLong
from standalone.identity.sessions import Session
from standalone.identity.sign_in import Answered, SignIn, authorization_url, begin_sign_in, is_answer_to, user_of

_MAX_SHOWN: Final = 200


class Arriving:
    """Lets users in."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._answered = Answered()

    async def sign_in(self, call: Call, origin: Origin) -> None:
        """For pages whose scripts were told 401: they send their user here."""
        target = return_target(query_of(call).get("return", HOME))
        if self._desk.session_of(call, origin) is None:
            await self.lead_to_provider(call, origin, target)
        else:
            await redirect(call, target)

    async def lead_to_provider(self, call: Call, origin: Origin, target: str) -> None:
        """Begin an attempt, whose cookie this tab's browser keeps beside those of others."""
        desk = self._desk
        metadata = await desk.metadata()
        sign_in = begin_sign_in(target, str(origin), now=desk.clock.now(), new_word=desk.new_word)
        try:
            kept = write_sign_in(sign_in, call.head.headers, desk.keys(), is_secure=origin.is_secure)
        except TooLong as exc:
            raise Refusal(TOO_LONG_TO_COME_BACK) from exc
        call.add_fields(*kept)
        url = authorization_url(
            metadata.authorization_endpoint,
            sign_in,
            client_id=desk.client.client_id,
            redirect_uri=f"{origin}{BACK}",
            scopes=desk.rules.scopes,
        )
        await redirect(call, url)

    async def take_answer(self, call: Call, origin: Origin) -> None:
        """The browser is back: what it brings has to answer an attempt of its own, in time, and for the first time."""
        desk, answer = self._desk, query_of(call)
        state, now = answer.get("state", ""), desk.clock.now()
        sign_in = find_sign_in(state, call.head.headers, desk.keys(), is_secure=origin.is_secure)
        if sign_in is None or not is_answer_to(sign_in, state=state, origin=str(origin), now=now):
            raise Refusal(SIGN_IN_OVER)
        call.add_fields(forget_sign_in(state, is_secure=origin.is_secure))
        if not self._answered.take(state, now=now):
            raise Refusal(SIGN_IN_OVER)
        claims = await self._redeem(await self._code_of(answer), sign_in, origin, peer=call.client.address)
        user = user_of(claims, trusts_addresses=desk.rules.trusts_addresses)
        require_listed(user, desk.rules.allowed)
        session = Session(user=user, session_id=desk.new_word(), host=str(origin), began=now, seen=now)
        call.add_fields(desk.book.write(session, origin, desk.keys(), now=now))
        log_change("sign-in", by=user, peer=call.client.address)
        await redirect(call, sign_in.target)

    async def _code_of(self, answer: Mapping[str, str]) -> str:
        """The code in an answer of the provider itself (RFC 9207). Raises `Refusal`."""
        metadata = await self._desk.metadata()
        issuer = answer.get("iss", "" if metadata.names_itself_in_answers else metadata.issuer)
        if issuer != metadata.issuer:
            raise Refusal(SIGN_IN_OVER)
        if "error" in answer or not answer.get("code"):
            said = (answer.get("error", "no code"), answer.get("error_description", ""))
            details = tuple(escaped(text)[:_MAX_SHOWN] for text in said if text)
            raise Refusal(replace(SIGN_IN_REFUSED, details=details))
        return answer["code"]

    async def _redeem(self, code: str, sign_in: SignIn, origin: Origin, *, peer: str) -> Claims:
        desk = self._desk
        if desk.throttle.is_over(peer, now=desk.clock.now()):
            raise Refusal(TOO_MANY_GUESSES)
        try:
            async with asyncio.timeout(PATIENCE):
                return await redeem(
                    desk.provider, desk.client, code=code, sign_in=sign_in, redirect_uri=f"{origin}{BACK}"
                )
        except NotRedeemed as exc:
            desk.throttle.count(peer, now=desk.clock.now())
            raise Refusal(SIGN_IN_FAILED) from exc
        except (StoreUnavailable, TimeoutError) as exc:
            raise Refusal(SIGN_IN_UNAVAILABLE) from exc
