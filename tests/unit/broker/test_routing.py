"""Which backend serves a user, a host and a path."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BackendOffline, UnknownBackend
from broker.hosts import fit_of
from broker.model import ALL_USERS, Backend, BackendStatus
from broker.policy import Policy
from broker.routing import choose_backend, find_candidates, is_online, path_of, serves_path
from tests.factories import a_backend, seconds
from tests.fakes.clock import NOON
from wire.protocol import BackendId

POLICY = Policy()
ALICE = "alice@example.com"
BOB = "bob@example.com"
PREFIXES = st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", ""])
HOSTS = st.sampled_from(["a.org", "b.a.org", "c.a.org", "b.org", "c.com", ""])
PATHS = st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/abc", "/b", "*", "//a", "/a/../b"])


@st.composite
def registrations(draw: st.DrawFn) -> list[Backend]:
    users = draw(st.lists(st.sampled_from([ALL_USERS, ALICE, BOB]), max_size=6))
    prefixes = st.lists(PREFIXES, min_size=1, max_size=3).map(tuple)
    hosts = st.lists(st.sampled_from(["a.org", "b.a.org", "*.a.org", "*.org"]), max_size=2).map(tuple)
    return [
        a_backend(f"b{at}", end_user=user, path_prefixes=draw(prefixes), hosts=draw(hosts))
        for at, user in enumerate(users)
    ]


def polled(*backends: Backend, ago: float = 0) -> dict[BackendId, BackendStatus]:
    return {backend.backend_id: BackendStatus(last_polled=NOON - seconds(ago)) for backend in backends}


def route(
    backends: list[Backend],
    statuses: dict[BackendId, BackendStatus],
    *,
    user: str,
    path: str,
    host: str = "example.org",
) -> Backend:
    candidates = find_candidates(backends, user=user, host=host, path=path)
    return choose_backend(candidates, statuses, path=path, now=NOON, policy=POLICY)


@pytest.mark.parametrize(
    ("target", "path"),
    [("/", "/"), ("/a?b", "/a"), ("/a?b?c", "/a"), ("/a?", "/a"), ("/a%3Fb", "/a%3Fb"), ("//x", "//x"), ("*", "*")],
)
def test_the_path_is_what_stands_before_the_query_never_decoded(target: str, path: str) -> None:
    assert path_of(target) == path


@pytest.mark.parametrize("prefix", ["/foo", "/foo/"])
@pytest.mark.parametrize(
    "path", ["/foo", "/foo/", "/foo/x", "/foo//x", "/foo/./x", "/foo/..x", "/foo/.../x", "/foo/x.."]
)
def test_a_prefix_serves_what_lies_under_it_with_or_without_a_slash_at_its_end(prefix: str, path: str) -> None:
    assert serves_path(prefix, path)


@pytest.mark.parametrize("prefix", ["/foo", "/foo/"])
@pytest.mark.parametrize(
    "path", ["/", "/foobar", "/fo", "/Foo", "/x/foo", "//foo", "/foo%2Fx", "/%66oo", "/foo;x", "*", "http://h/foo"]
)
def test_a_prefix_serves_nothing_else(prefix: str, path: str) -> None:
    assert not serves_path(prefix, path)


@pytest.mark.parametrize("prefix", ["", "/"])
@pytest.mark.parametrize("path", ["/", "/x", "//", "/foo/../x", "*", "http://h/foo"])
def test_the_root_serves_everything(prefix: str, path: str) -> None:
    assert serves_path(prefix, path)


@pytest.mark.parametrize(
    "rest",
    ["..", "../", "../bar", "x/../../bar", "%2e%2e/bar", ".%2E/bar", "%2E./bar", "..%2fbar", "x%2F..%2f..", "..\\bar"]
    + ["..%5Cbar", "x\\..\\..\\bar", "..;/bar", "..;v=1/bar", "..%3bv/bar", "..#x", "..%23", "..%00"],
)
def test_a_path_that_climbs_lies_under_no_prefix(rest: str) -> None:
    assert not serves_path("/foo", f"/foo/{rest}")
    assert serves_path("/", f"/foo/{rest}")


@given(PREFIXES, PATHS, st.text("ab/", max_size=5))
def test_more_path_behind_a_slash_stays_under_the_prefix(prefix: str, path: str, more: str) -> None:
    assert serves_path(prefix, f"{path}/{more}") or not serves_path(prefix, path)


@given(PATHS.filter(lambda path: "." not in path))
def test_a_path_lies_under_itself_and_under_no_longer_word(path: str) -> None:
    assert serves_path(path, path)
    assert not path.strip("/") or not serves_path(path, path.rstrip("/") + "x")


@pytest.mark.parametrize(
    ("status", "online"),
    [
        (None, False),
        (BackendStatus(), False),
        (BackendStatus(last_used=NOON), False),
        (BackendStatus(last_polled=NOON - seconds(75)), True),
        (BackendStatus(last_polled=NOON - seconds(75.001)), False),
        (BackendStatus(last_polled=NOON + seconds(1)), True),
    ],
)
def test_a_backend_is_online_while_its_agents_poll(status: BackendStatus | None, online: bool) -> None:
    assert is_online(status, now=NOON, policy=POLICY) == online


@pytest.mark.parametrize(
    ("end_user", "user", "served"),
    [
        (ALL_USERS, ALICE, True),
        (ALL_USERS, "", True),
        (ALICE, ALICE, True),
        (ALICE, "Alice@Example.com", True),
        ("Alice@Example.com", "Alice@Example.com", True),
        ("Alice@Example.com", ALICE, False),
        ("Alice@Example.com", "aLICE@eXAMPLE.COM", False),
        (ALICE, BOB, False),
        (ALICE, "", False),
        ("", "", False),
        ("@example.com", ALICE, True),
        ("@example.com", "Alice@Example.com", True),
        ("@example.com", "alice@sub.example.com", False),
        ("@example.com", "alice@example.com.org", False),
        ("@example.com", "example.com", False),
        ("@example.com", "@example.com@", False),
        ("@example.com", "", False),
        ("@", "alice", False),
    ],
)
def test_a_backend_serves_its_user_or_all(end_user: str, user: str, served: bool) -> None:
    backend = a_backend(end_user=end_user)

    assert find_candidates([backend], user=user, host="", path="/") == ([backend] if served else [])


def test_a_users_own_backend_comes_before_that_of_his_domain_and_this_before_that_of_all() -> None:
    everybodys, domains, own = (
        a_backend(name, end_user=user, path_prefixes=(prefix,))
        for name, user, prefix in (("all", ALL_USERS, "/a/b"), ("domain", "@example.com", "/a"), ("own", ALICE, "/"))
    )
    statuses = polled(everybodys, domains, own)
    chosen = [
        route(registered, statuses, user=ALICE, path="/a/b").backend_id
        for registered in ([everybodys, domains, own], [everybodys, domains], [everybodys])
    ]

    assert chosen == ["own", "domain", "all"]


def test_a_backend_serves_under_any_of_its_prefixes() -> None:
    backend = a_backend(path_prefixes=("/a", "/b"))

    served = [path for path in ("/a/x", "/b", "/c") if find_candidates([backend], user="", host="", path=path)]

    assert served == ["/a/x", "/b"]


def test_a_backend_with_hosts_serves_those_and_one_without_serves_all() -> None:
    backends = [a_backend("one", hosts=("a.org", "*.b.org")), a_backend("any")]
    chosen = {
        host: [backend.backend_id for backend in find_candidates(backends, user="", host=host, path="/")]
        for host in ("a.org", "x.b.org", "b.org", "x.a.org", "")
    }

    assert chosen == {"a.org": ["one"], "x.b.org": ["one"], "b.org": ["any"], "x.a.org": ["any"], "": ["any"]}


def test_the_closest_host_comes_before_the_owner_and_the_prefix() -> None:
    exact = a_backend("exact", hosts=("app.a.org",))
    wild = a_backend("wild", hosts=("*.a.org",), path_prefixes=("/a",))
    wider = a_backend("wider", hosts=("*.org",), end_user=ALICE)
    own = a_backend("own", end_user=ALICE, path_prefixes=("/a/b",))
    backends = [own, wider, wild, exact]
    hosts = ["app.a.org", "other.a.org", "b.org", "a.com"]

    chosen = [route(backends, polled(*backends), user=ALICE, host=host, path="/a/b").backend_id for host in hosts]

    assert chosen == ["exact", "wild", "wider", "own"]


def test_a_host_that_others_name_is_not_served_by_a_backend_of_a_wider_choice() -> None:
    wild, anywhere = a_backend("wild", hosts=("*.a.org",)), a_backend("anywhere")
    found = [
        find_candidates([wild, anywhere], user="", host="b.a.org", path="/", named=named)
        for named in ({"b.a.org"}, {"*.a.org", "*.org"}, ())
    ]

    assert found == [[], [wild], [wild]]


def test_a_host_of_others_of_whom_nobody_knows_is_like_any_other() -> None:
    others, anywhere = a_backend("others", hosts=("a.org",), end_user=ALICE), a_backend("anywhere")

    assert find_candidates([others, anywhere], user="", host="a.org", path="/") == [anywhere]


def test_among_backends_of_one_host_the_own_one_comes_first() -> None:
    own, shared = (
        a_backend("own", hosts=("a.org",), end_user=ALICE),
        a_backend("shared", hosts=("a.org",), path_prefixes=("/a",)),
    )

    assert route([shared, own], polled(own, shared), user=ALICE, host="a.org", path="/a") == own


def test_a_path_that_nobody_serves_at_its_host_goes_to_those_of_any_host() -> None:
    api, rest = a_backend("api", hosts=("a.org",), path_prefixes=("/api",)), a_backend("rest")

    assert route([api, rest], polled(api, rest), user="", host="a.org", path="/") == rest


def test_what_is_meant_for_one_host_goes_to_no_wider_backend_while_its_own_is_offline() -> None:
    exact, rest = a_backend("exact", hosts=("a.org",)), a_backend("rest")

    with pytest.raises(BackendOffline, match="^no agent is connected for: exact$"):
        route([exact, rest], polled(rest), user="", host="a.org", path="/")


def test_no_registration_is_an_unknown_backend() -> None:
    with pytest.raises(UnknownBackend, match="^no backend is registered for this user, host and path$"):
        route([a_backend(end_user=BOB)], {}, user=ALICE, path="/")


def test_registrations_without_an_agent_are_offline_by_name() -> None:
    backends = [a_backend("b"), a_backend("a")]

    with pytest.raises(BackendOffline, match="^no agent is connected for: a, b$"):
        route(backends, polled(*backends, ago=76), user=ALICE, path="/")


def test_a_users_own_backend_comes_before_a_longer_prefix_of_all_users() -> None:
    own, shared = a_backend("own", end_user=ALICE), a_backend("shared", path_prefixes=("/a/b",))

    assert route([shared, own], polled(own, shared), user=ALICE, path="/a/b") == own


def test_the_longest_prefix_that_serves_comes_first() -> None:
    short, long = a_backend("short", path_prefixes=("/", "/longer/elsewhere")), a_backend("long", path_prefixes=("/a",))

    assert route([short, long], polled(short, long), user=ALICE, path="/a/x") == long
    assert route([short, long], polled(short, long), user=ALICE, path="/b") == short


def test_a_slash_at_its_end_makes_no_prefix_longer() -> None:
    first, second = a_backend("1", path_prefixes=("/a/",)), a_backend("2", path_prefixes=("/a",))

    assert route([first, second], polled(first, ago=1) | polled(second), user=ALICE, path="/a/x") == second


def test_of_equal_backends_the_one_polled_last_comes_first() -> None:
    early, late = a_backend("z"), a_backend("a")

    assert route([early, late], polled(early, ago=9) | polled(late, ago=3), user=ALICE, path="/") == late


def test_what_is_offline_gives_way_to_the_next_best() -> None:
    own, long, shared = a_backend("own", end_user=ALICE), a_backend("long", path_prefixes=("/a",)), a_backend("shared")
    statuses = polled(own, ago=100) | polled(long, ago=100) | polled(shared)

    assert route([own, long, shared], statuses, user=ALICE, path="/a") == shared


@given(
    registrations(),
    HOSTS,
    PATHS,
    st.sampled_from([ALICE, BOB, ""]),
    st.lists(st.integers(0, 100), min_size=6, max_size=6),
)
def test_a_request_never_reaches_another_users_or_hosts_backend_nor_one_that_is_offline(
    backends: list[Backend], host: str, path: str, user: str, ages: list[int]
) -> None:
    statuses = {
        b.backend_id: BackendStatus(last_polled=NOON - timedelta(seconds=s))
        for b, s in zip(backends, ages, strict=False)
    }
    try:
        chosen = route(backends, statuses, user=user, host=host, path=path)
    except (UnknownBackend, BackendOffline):
        return

    assert chosen.end_user in (ALL_USERS, user)
    assert fit_of(chosen.hosts, host) is not None
    assert any(serves_path(prefix, path) for prefix in chosen.path_prefixes)
    assert is_online(statuses[chosen.backend_id], now=NOON, policy=POLICY)


@given(st.data(), registrations(), HOSTS, PATHS)
def test_the_choice_does_not_depend_on_the_order_of_registrations(
    data: st.DataObject, backends: list[Backend], host: str, path: str
) -> None:
    def choice(registered: list[Backend]) -> BackendId | None:
        try:
            return route(registered, polled(*backends), user=ALICE, host=host, path=path).backend_id
        except UnknownBackend:
            return None

    assert choice(data.draw(st.permutations(backends))) == choice(backends)
