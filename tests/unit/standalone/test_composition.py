from datetime import timedelta

from broker.policy import Policy
from standalone.composition import UNREAD, peers_of, policy_of, protocol_of
from standalone.connections.limits import Limits
from standalone.settings.load import Settings, load_settings


def settings(**environ: str) -> Settings:
    return load_settings(["--open"], {f"INVERTING_PROXY_{name}": text for name, text in environ.items()})


def test_the_defaults_are_those_of_the_rules_and_of_the_server() -> None:
    # A body passes, and is never held; and a connection sees for itself that it is read.
    assert policy_of(settings()) == Policy(max_body_bytes=100 << 30, unread_wait=UNREAD)
    assert protocol_of(settings()).limits == Limits()


def test_times_and_limits_arrive_where_they_count() -> None:
    told = settings(
        TIMEOUTS_RESPONSE="2m", TIMEOUTS_FETCH="1m", TIMEOUTS_LIST="10s", TIMEOUTS_OFFER="1s", LIMITS_BODY_BYTES="1GB"
    )

    policy = policy_of(told)
    assert (policy.response_wait, policy.fetch_wait) == (timedelta(minutes=2), timedelta(minutes=1))
    assert (policy.list_wait, policy.offer_lease) == (timedelta(seconds=10), timedelta(seconds=1))
    assert policy.max_body_bytes == 10**9


def test_a_request_is_not_waited_for_to_be_fetched_for_longer_than_to_be_answered() -> None:
    assert policy_of(settings(TIMEOUTS_RESPONSE="3s")).fetch_wait == timedelta(seconds=3)


def test_a_backend_is_online_for_longer_than_two_polls_take() -> None:
    assert policy_of(settings(TIMEOUTS_LIST="2m")).backend_online > 2 * timedelta(minutes=2)


def test_the_limits_of_a_connection_are_those_that_are_set() -> None:
    told = settings(
        TIMEOUTS_HEAD="1s",
        TIMEOUTS_IDLE="2s",
        TIMEOUTS_LINGER="3s",
        LIMITS_URL_BYTES="4KiB",
        LIMITS_HEAD_BYTES="8KiB",
        LIMITS_HEAD_FIELDS="50",
        LIMITS_CONNECTIONS="7",
        LIMITS_PIPELINE="1",
        LIMITS_READ_RATE="0",
        LIMITS_CONNECTIONS_PER_ADDRESS="6",
        LIMITS_REQUESTS_PER_CONNECTION="5",
    )

    assert protocol_of(told).limits == Limits(
        url_bytes=4096,
        head_bytes=8192,
        head_fields=50,
        head_time=1,
        write_time=2,
        linger_time=3,
        connections=7,
        pipeline=1,
        read_rate=0,
        connections_per_address=6,
        requests=5,
    )
    assert protocol_of(settings(TIMEOUTS_IDLE="2s", TIMEOUTS_WRITE="9s")).limits.write_time == 9
    assert protocol_of(settings(LIMITS_HEAD_BYTES="8KiB")).limits.url_bytes == 8192


def test_those_in_front_are_believed_that_are_named() -> None:
    peers = peers_of(settings(LISTEN_TRUSTED_PEERS="10.0.0.0/8, unix, 2001:db8::1"))

    assert [peers.is_trusted(address) for address in ("10.0.0.1", "", "2001:db8::1")] == [True, True, True]
    assert not peers.is_trusted("127.0.0.1")
    assert not peers_of(settings()).is_trusted("")


def test_a_trusted_peer_is_not_counted_by_its_address() -> None:
    told = settings(LISTEN_TRUSTED_PEERS="192.0.2.0/24")

    assert [protocol_of(told).crowd.enter(address) for address in ("192.0.2.1", "127.0.0.1", "198.51.100.1")] == [
        0,
        0,
        1,
    ]
