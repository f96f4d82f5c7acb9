"""The sessions: bound to their users, bounded, and ended when nobody uses them."""

import threading
from datetime import UTC, datetime, timedelta

from agent.sessions.jar import Place
from agent.sessions.set_cookie import SetCookie
from agent.sessions.store import SessionStore

HOME = Place("example.com", "/")
A_COOKIE = SetCookie("a", "1")
GONE = SetCookie("a", "", expires=datetime(1601, 1, 1, tzinfo=UTC))


class Scene:
    """A store, and its clock."""

    def __init__(self, *, capacity: int = 10) -> None:
        self.now = datetime(2027, 1, 1, tzinfo=UTC)
        self.store = SessionStore(timeout=timedelta(hours=10), capacity=capacity, now=lambda: self.now)

    def keep(self, *names: str, user: str = "u", cookie: SetCookie = A_COOKIE) -> str | None:
        return self.store.keep(names, [cookie], user_id=user, place=HOME)

    def begin(self, *, user: str = "u", cookie: SetCookie = A_COOKIE) -> str:
        name = self.keep(user=user, cookie=cookie)
        assert name is not None
        return name

    def cookies(self, *names: str, user: str = "u") -> list[tuple[str, str]]:
        return self.store.cookies_for(names, user_id=user, place=HOME)

    def passes(self, hours: float) -> None:
        self.now += timedelta(hours=hours)


def test_a_session_gives_back_what_it_was_given() -> None:
    scene = Scene()
    name = scene.begin()
    assert scene.cookies(name) == [("a", "1")]
    assert scene.keep(name, cookie=SetCookie("b", "2")) is None
    assert scene.cookies(name) == [("a", "1"), ("b", "2")]


def test_names_are_random_and_long() -> None:
    scene = Scene(capacity=100)
    names = {scene.begin() for _ in range(100)}
    assert len(names) == 100
    assert min(map(len, names)) >= 43


def test_a_name_that_was_not_made_here_is_replaced() -> None:
    scene = Scene()
    name = scene.keep("chosen-by-somebody")
    assert name not in (None, "chosen-by-somebody")
    assert scene.cookies("chosen-by-somebody") == []


def test_a_session_of_another_user_is_unknown_and_unharmed() -> None:
    scene = Scene()
    name = scene.begin(user="alice")
    assert scene.cookies(name, user="bob") == []
    assert scene.cookies(name, user="") == []
    assert scene.keep(name, user="bob", cookie=SetCookie("a", "2")) not in (None, name)
    assert scene.cookies(name, user="alice") == [("a", "1")]


def test_of_several_names_the_known_one_counts() -> None:
    scene = Scene()
    name = scene.begin()
    assert scene.cookies("tossed", name) == [("a", "1")]


def test_nothing_to_keep_makes_no_session() -> None:
    scene = Scene()
    assert scene.store.keep([], [], user_id="u", place=HOME) is None
    assert scene.keep(cookie=GONE) is None
    assert scene.keep(cookie=SetCookie("a", "1", domain="com")) is None
    assert len(scene.store) == 0


def test_a_session_whose_last_cookie_goes_ends() -> None:
    scene = Scene()
    name = scene.begin()
    assert scene.keep(name, cookie=GONE) is None
    assert len(scene.store) == 0


def test_a_session_ends_when_it_was_not_used_for_its_time() -> None:
    scene = Scene()
    name = scene.begin()
    scene.passes(9.9)
    assert scene.cookies(name)
    scene.passes(9.9)
    assert scene.cookies(name)
    scene.passes(10)
    assert not scene.cookies(name)
    assert len(scene.store) == 0


def test_the_browser_is_told_again_after_a_tenth_of_the_time() -> None:
    scene = Scene()
    name = scene.begin()
    told = []
    for _ in range(5):
        scene.passes(0.5)
        told.append(scene.store.keep([name], [], user_id="u", place=HOME))
    assert told == [None, name, None, name, None]


def test_of_too_many_the_least_recently_used_goes() -> None:
    scene = Scene(capacity=2)
    first, second = scene.begin(), scene.begin()
    scene.cookies(first)
    scene.begin()
    assert (len(scene.store), scene.cookies(second), scene.cookies(first)) == (2, [], [("a", "1")])


def test_of_users_with_as_many_the_one_longest_away_gives_way() -> None:
    scene = Scene(capacity=2)
    old = scene.begin(user="old")
    scene.passes(1)
    new = scene.begin(user="new")
    scene.passes(1)
    scene.begin(user="third")
    assert (scene.cookies(old, user="old"), scene.cookies(new, user="new")) == ([], [("a", "1")])


def test_sessions_that_have_expired_go_before_any_other() -> None:
    scene = Scene(capacity=3)
    scene.begin(user="gone")
    scene.passes(9)
    names = [scene.begin(), scene.begin()]
    scene.passes(1)
    scene.begin()
    assert [scene.cookies(name) for name in names] == [[("a", "1")]] * 2


def test_thousands_of_sessions_of_nobody_push_nobody_else_out() -> None:
    scene = Scene(capacity=100)
    name = scene.begin(user="alice")
    for _ in range(5000):
        scene.keep(user="")
    assert scene.cookies(name, user="alice") == [("a", "1")]
    assert len(scene.store) == 100


def test_threads_do_not_disturb_each_other() -> None:
    scene = Scene(capacity=5)
    failures: list[Exception] = []

    def work(user: str) -> None:
        try:
            for number in range(300):
                name = scene.keep(user=user, cookie=SetCookie(user, str(number)))
                found = scene.cookies(name or "", user=user)
                assert found in ([], [(user, str(number))])
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(user,)) for user in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(scene.store) == 5
