"""How users come in: the port that each way of signing in fills, and the two that need no pages of their own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from standalone.calls import Call
from standalone.identity.fronts import Front
from standalone.identity.listed import require_listed
from standalone.rights import Right, always
from wire.headers import normalise
from wire.http1 import RequestHead


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who may come in, and the head of the request that goes on."""

    user: str
    """The verified identity; empty where nobody asked."""
    head: RequestHead
    hidden: str = ""
    """A field, in the form of `normalise`, that trailers must not have either; empty for none."""
    may_stay: Right = always
    """For what outlives the request: False once he has signed out."""


class Reception(Protocol):
    """Asks users who they are."""

    async def admit(self, call: Call) -> Guest | None:
        """Whom a request comes from; None where it is answered already, by a page about signing in.

        Raises `NotAllowed`, `Refusal`, `MalformedMessage`, and `StoreUnavailable` when who it is cannot be found out.
        """
        ...


class PublicReception:
    """Asks nobody: all are strangers, and see what is registered for all users."""

    async def admit(self, call: Call) -> Guest | None:
        return Guest("", call.head)


class FrontReception:
    """Believes a proxy in front, which has asked."""

    def __init__(self, front: Front, *, is_trusted: Callable[[str], bool], allowed: frozenset[str]) -> None:
        self._front = front
        self._is_trusted = is_trusted
        self._allowed = allowed

    async def admit(self, call: Call) -> Guest | None:
        user = self._front.user_of(call.caller, is_trusted=self._is_trusted(call.peer))
        require_listed(user, self._allowed)
        head = replace(call.head, headers=self._front.without(call.head.headers))
        return Guest(user, head, hidden=normalise(self._front.field))
