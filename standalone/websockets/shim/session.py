"""One websocket by requests: what the user sends goes in `data`, what the backend sends comes by `poll`."""

import asyncio
import itertools
import logging
from typing import Final

from broker.errors import BackendOffline, BrokerError, UnknownBackend
from edge.errors import Refusal
from standalone.websockets.shim.calls import ShimAnswer, ShimCalls
from standalone.websockets.shim.messages import (
    LOST,
    BadShim,
    Ending,
    Opened,
    encode_close,
    encode_data,
    encode_poll,
    parse_ending,
    parse_messages,
)
from standalone.websockets.shim.page import Page
from wire.errors import WireError
from wire.headers import Headers

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 6
_PAUSE: Final = 0.2
"""Seconds, doubled with each attempt."""

_FINAL: Final = frozenset({BackendOffline.reason, UnknownBackend.reason, "agent-lost"})
"""Reasons for which the agent that has the websocket is gone, and it with him."""

_STOPPING: Final = Ending(1001, "the proxy ends it")
_FAILED: Final = Ending(1011, "the agent does not answer")


class Session:
    """A websocket that the agent has opened; `headers` are those of each call."""

    def __init__(self, page: Page, calls: ShimCalls, opened: Opened, headers: Headers) -> None:
        self._page = page
        self._calls = calls
        self._opened = opened
        self._headers = headers
        self._sent = 0

    async def run(self) -> None:
        """Pass messages both ways until either side ends it, or this task is cancelled; then end both."""
        ending = _STOPPING
        try:
            ending = await self._pass_on()
        finally:
            theirs = self._page.ending
            await self._page.finish(ending)
            if theirs is not None or ending in (_STOPPING, _FAILED):
                await self._tell_agent(theirs or ending)

    async def _pass_on(self) -> Ending:
        tasks = [asyncio.ensure_future(self._send()), asyncio.ensure_future(self._receive())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        except (BadShim, Refusal) as exc:
            logger.warning("a websocket by requests failed: %s", exc)
            return _STOPPING if isinstance(exc, Refusal) else _FAILED
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self) -> Ending:
        while messages := await self._page.receive():
            answer = await self._call("data", encode_data(self._opened, messages, first=self._sent))
            if answer.status != 200:
                return parse_ending(answer.body) or _FAILED
            self._sent += len(messages)
        return self._page.ending or LOST

    async def _receive(self) -> Ending:
        received = 0
        while True:
            answer = await self._call("poll", encode_poll(self._opened, received=received))
            if answer.status == 200:
                for message in parse_messages(answer.body):
                    await self._page.send(message)
                    received += 1
            elif answer.status != 408:
                return parse_ending(answer.body) or _FAILED

    async def _call(self, name: str, body: bytes) -> ShimAnswer:
        """Call until there is an answer of the shim's; only once where nothing is numbered, for what would be doubled.

        Raises `BadShim` when there is none."""
        for attempt in itertools.count(1):
            try:
                answer = await self._calls.call(name, self._headers, body)
                if answer.status in (200, 400, 408):
                    return answer
                why = f"{name} was answered with status {answer.status}"
            except (BrokerError, WireError) as exc:
                why = f"{name}: {exc}"
                if isinstance(exc, BrokerError) and exc.reason in _FINAL:
                    raise BadShim(why) from exc
            if attempt == _ATTEMPTS or not (self._opened.numbers or name == "poll"):
                raise BadShim(why)
            await asyncio.sleep(_PAUSE * 2**attempt)
        raise AssertionError("unreachable: the loop ends by returning or raising")

    async def _tell_agent(self, ending: Ending) -> None:
        try:
            await self._calls.call("close", self._headers, encode_close(self._opened, ending, sent=self._sent))
        except (BrokerError, WireError, Refusal) as exc:
            logger.debug("an agent could not be told that a websocket has ended: %s", exc)
