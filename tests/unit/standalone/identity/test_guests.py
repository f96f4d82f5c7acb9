"""`standalone.identity.guests`: sessions and attempts in cookies."""

import asyncio
from datetime import timedelta
from itertools import count

from standalone.identity.cookies import session_cookie, sign_in_cookie
from standalone.identity.guests import (
    Field,
    GuestBook,
    find_sign_in,
    forget_sign_in,
    may_sign_out,
    sign_out_token,
    write_sign_in,
)
from standalone.identity.origins import parse_origin
from standalone.identity.sessions import Lifetimes, Session
from standalone.identity.sign_in import MOST_AT_ONCE, SignIn, begin_sign_in, mark_of
from tests.fakes.clock import NOON
from wire.headers import Headers

KEYS = (b"k" * 32,)
ORIGIN = parse_origin("https://proxy")
SESSION = Session(user="ada", session_id="s", host="https://proxy", began=NOON, seen=NOON)


def book() -> GuestBook:
    return GuestBook(Lifetimes(absolute=timedelta(hours=12), idle=timedelta(hours=1)))


def sent(*fields: Field) -> Headers:
    """What a browser sends that was told to keep these."""
    return Headers([("Cookie", "; ".join(value.partition(";")[0] for _, value in fields))])


_words = count()


def attempt(minutes: int = 0) -> SignIn:
    now = NOON + timedelta(minutes=minutes)
    return begin_sign_in("/", "https://proxy", now=now, new_word=lambda: f"w{next(_words)}")


def test_a_session_is_found_again() -> None:
    cookie = book().write(SESSION, ORIGIN, KEYS, now=NOON)

    assert book().session_of(sent(cookie), ORIGIN, KEYS, now=NOON) == SESSION


def test_a_cookie_that_was_planted_before_ours_hides_it_not() -> None:
    name, cookie = session_cookie(is_secure=True), book().write(SESSION, ORIGIN, KEYS, now=NOON)
    planted = Headers([("Cookie", f"{name}=planted; {sent(cookie).get('Cookie')}")])

    assert book().session_of(planted, ORIGIN, KEYS, now=NOON) == SESSION


def test_it_is_kept_as_long_as_it_can_last() -> None:
    _, early = book().write(SESSION, ORIGIN, KEYS, now=NOON)
    _, late = book().write(SESSION, ORIGIN, KEYS, now=NOON + timedelta(hours=11, minutes=30))

    assert ("Max-Age=3600;" in early, "Max-Age=1800;" in late) == (True, True)


def test_one_that_was_ended_is_over_also_for_a_copy() -> None:
    guests = book()
    cookie = guests.write(SESSION, ORIGIN, KEYS, now=NOON)
    removed = asyncio.run(guests.end(SESSION, ORIGIN, now=NOON))

    assert guests.session_of(sent(cookie), ORIGIN, KEYS, now=NOON) is None
    assert removed[1].startswith("__Host-inverting-proxy-session=; Path=/; Max-Age=0;")


def test_an_attempt_is_found_by_its_state() -> None:
    one, other = attempt(), attempt()
    headers = sent(
        *write_sign_in(one, Headers(), KEYS, is_secure=True), *write_sign_in(other, Headers(), KEYS, is_secure=True)
    )

    assert find_sign_in(one.state, headers, KEYS, is_secure=True) == one
    assert find_sign_in("unknown", headers, KEYS, is_secure=True) is None
    assert find_sign_in(one.state, headers, (b"x" * 32,), is_secure=True) is None


def test_of_too_many_attempts_the_oldest_are_forgotten_and_garbage_first() -> None:
    attempts = [attempt(minutes=number) for number in range(MOST_AT_ONCE)]
    cookies = [write_sign_in(each, Headers(), KEYS, is_secure=True)[0] for each in reversed(attempts)]
    garbage = ("Set-Cookie", f"{sign_in_cookie('x', is_secure=True)}=garbage")
    newest = attempt(minutes=60)
    fields = write_sign_in(newest, sent(*cookies, garbage), KEYS, is_secure=True)
    removed = [value.partition("=")[0] for _, value in fields if "Max-Age=0" in value]

    assert removed == [garbage[1].partition("=")[0], sign_in_cookie(mark_of(attempts[0].state), is_secure=True)]


def test_an_attempt_is_forgotten_by_its_name() -> None:
    assert forget_sign_in("s", is_secure=False)[1].startswith(
        f"inverting-proxy-sign-in-{mark_of('s')}=; Path=/; Max-Age=0"
    )


def test_only_the_token_of_a_session_signs_it_out() -> None:
    other = Session(user="ada", session_id="t", host="https://proxy", began=NOON, seen=NOON)

    assert may_sign_out(sign_out_token(SESSION, KEYS), SESSION, KEYS)
    assert not may_sign_out(sign_out_token(other, KEYS), SESSION, KEYS)
    assert not may_sign_out("", SESSION, KEYS)
