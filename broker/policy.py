"""Every number that the rules use, in one frozen object."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Times, sizes and counts; the defaults are those of the original where it has them."""

    list_wait: timedelta = timedelta(seconds=30)
    """How long a poll waits for work before it answers with an empty list."""

    list_limit: int = 100
    """The most request IDs in one answer to a poll."""

    offer_lease: timedelta = timedelta(seconds=5)
    """How long a listed request is hidden from other polls; it is fetched by then, or offered again."""

    name_lease: timedelta = timedelta(seconds=1)
    """The same for one that was only named in a poll: who is there fetches it at once, who is not cannot be told from
    him, and to name it again takes it from nobody."""

    news_wait: timedelta = timedelta(milliseconds=100)
    """How long a poll waits for work though there is something else to tell its agent."""

    fetch_wait: timedelta = timedelta(seconds=15)
    """How long a request waits for an agent to fetch it before its user is told that none did; from then on none may.
    At most `response_wait`."""

    response_wait: timedelta = timedelta(seconds=30)
    """From the request's arrival to the first byte of its answer."""

    idle_wait: timedelta = timedelta(seconds=30)
    """The longest silence within a body, either way."""

    exchange_gone: timedelta = timedelta(minutes=2)
    """How long after its last deadline an exchange may still lie in the store before the sweep takes it."""

    sweep_time: timedelta = timedelta(minutes=9)
    """How long one sweep may last: App Engine gives a request ten minutes, one of cron as well."""

    backend_online: timedelta = timedelta(seconds=75)
    """A backend is online when an agent asked within this time: two polls, and the spacing of `touch_spacing`."""

    touch_spacing: timedelta = timedelta(seconds=30)
    """The least time between two writes that note that a backend was polled or used."""

    backends_age: timedelta = timedelta(seconds=5)
    """How old what a process knows of registrations may be, over a store that is shared: a new, a changed or a deleted
    backend, and one whose first agent has come, take effect within it."""

    backend_gone: timedelta = timedelta(hours=1)
    """After this long without an agent a registration may be removed, where the operator has asked for it."""

    max_body_bytes: int = 32 * 10**6
    """The longest request body that is taken. App Engine takes 32 MB for a whole request."""

    backend_exchanges: int = 10_000
    """The most requests under way with a backend whose registration does not say."""

    max_queue: int = 1_000
    """The most of them that no agent has taken yet."""

    user_exchanges: int = 1_000
    """The most requests under way for a user."""

    poll_fastest: timedelta = timedelta(milliseconds=15)
    """The spacing of look-ups over a store that cannot wake anybody, for a wait that has just begun."""

    poll_slowest: timedelta = timedelta(milliseconds=500)
    """The same, for a wait that has lasted."""

    poll_idle: timedelta = timedelta(milliseconds=1250)
    """The same, for an agent whose backend nobody uses: 48 look-ups a minute."""

    hinted_slowest: timedelta = timedelta(seconds=1)
    """The spacing of look-ups where hints say when it is worth it: for a hint that was lost."""

    hinted_idle: timedelta = timedelta(milliseconds=2500)
    """The same for agents."""

    hint_fastest: timedelta = timedelta(milliseconds=4)
    """The spacing of looks at hints, which cost next to nothing, for a wait that has just begun."""

    hint_slowest: timedelta = timedelta(milliseconds=80)
    """The same, for a wait that has lasted."""

    unread_wait: timedelta = timedelta()
    """At least so long a writer waits for room for an answer, where a reader that is too slow loses his connection."""

    room_wait: timedelta = field(init=False, compare=False)
    """How long a writer waits for room: for a reader that has vanished. One that is there is given `idle_wait`, and
    then ends the exchange itself."""

    exchange_ttl: timedelta = field(init=False, compare=False)
    """How long an untouched exchange is kept: every deadline, and `exchange_gone` on top."""

    @property
    def queue_wait(self) -> timedelta:
        """Where the first in a queue has waited for longer, who comes last would not be fetched in time."""
        return self.fetch_wait / 2

    @property
    def agent_silence(self) -> timedelta:
        """How long an agent that works on nothing may be silent and still counts: in a poll it is heard of every
        `offer_lease`."""
        return 2 * self.offer_lease + timedelta(seconds=2)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fetch_wait", min(self.fetch_wait, self.response_wait))
        longest = max(self.response_wait, self.idle_wait, self.unread_wait)
        object.__setattr__(self, "room_wait", self.idle_wait + self.offer_lease)
        object.__setattr__(self, "exchange_ttl", longest + self.exchange_gone)


def polling_interval(waited: timedelta, policy: Policy) -> timedelta:
    """The pause before the next look-up of a wait that has lasted `waited` already: half of it, within bounds.

    So what comes soon is seen soon, and what comes late costs few look-ups.
    """
    return min(max(waited / 2, policy.poll_fastest), policy.poll_slowest)


def idle_interval(quiet: timedelta, policy: Policy) -> timedelta:
    """The same for the agents of a backend of which nothing has been heard for so long: as long again.

    Not longer: who waits for an answer sees it up to half as late again, and may ask the next thing only then. The
    longer agents pause meanwhile, the more of that delay comes back with the next request; so it dies away.
    """
    return min(max(quiet, policy.poll_fastest), policy.poll_idle)


def hint_interval(waited: timedelta, policy: Policy) -> timedelta:
    """The pause before the next look at hints: a twentieth of the wait, within bounds."""
    return min(max(waited / 20, policy.hint_fastest), policy.hint_slowest)
