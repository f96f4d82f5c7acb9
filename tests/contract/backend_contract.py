"""What holds for registrations and their statuses, in every store."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from broker.errors import UnknownBackend, UnknownRequest
from broker.model import ALL_USERS, Options, Sharing
from broker.store import Store
from tests.contract.cases import AGENT, NOW, OTHER_BACKEND, POLICY, REQUEST_BYTES, claim, later, queued
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange
from wire.protocol import BackendId

MUCH_LATER = NOW + 10 * POLICY.touch_spacing
NOBODY = BackendId("nobody")


class BackendContract:
    """Registrations come back as they were put; statuses only grow."""

    def test_a_backend_comes_back_as_it_was_put(self, store: Store) -> None:
        backend = a_backend(
            "Jupyter-1",
            backend_user="Agent@Example.com",
            end_user="Ü.User@Example.com",
            path_prefixes=("/a", "/b/", "/ä"),
        )
        store.put_backend(backend)
        assert store.get_backend(BackendId("Jupyter-1")) == backend
        assert store.list_backends() == [backend]

    @pytest.mark.parametrize("hosts", [("example.org",), ("a.example.org", "*.example.org", "[::1]")])
    def test_hosts_come_back_in_their_order(self, store: Store, hosts: tuple[str, ...]) -> None:
        store.put_backend(a_backend(hosts=hosts))
        assert store.get_backend(BACKEND).hosts == hosts
        assert [backend.hosts for backend in store.find_backends("")] == [hosts]

    @pytest.mark.parametrize(
        "options",
        [
            Options(),
            Options(agents=Sharing.STANDBY),
            Options(agents=Sharing.STICKY, max_exchanges=1, max_queue=10_000, shim_path="a/websocket-shim"),
        ],
    )
    def test_options_come_back(self, store: Store, options: Options) -> None:
        store.put_backend(a_backend(options=options))
        assert store.list_backends() == [a_backend(options=options)]

    def test_who_replaces_a_backend_takes_its_hosts_and_options_away(self, store: Store) -> None:
        store.put_backend(a_backend(hosts=("example.org",), options=Options(max_queue=1)))
        store.put_backend(a_backend())
        assert store.get_backend(BACKEND) == a_backend()

    def test_a_backend_without_prefixes_comes_back(self, store: Store) -> None:
        store.put_backend(a_backend(path_prefixes=()))
        assert store.get_backend(BACKEND).path_prefixes == ()

    def test_every_character_of_a_backend_id_is_kept(self, store: Store) -> None:
        backend = a_backend("a._~@:+=,-Z")
        store.put_backend(backend)
        assert store.get_backend(backend.backend_id) == backend
        assert store.get_statuses([backend.backend_id]).keys() <= {backend.backend_id}

    def test_the_same_id_replaces(self, store: Store) -> None:
        store.put_backend(a_backend(end_user="old@example.com", path_prefixes=("/old", "/older")))
        store.put_backend(a_backend(end_user="new@example.com", path_prefixes=("/new",)))
        assert store.list_backends() == [a_backend(end_user="new@example.com", path_prefixes=("/new",))]
        assert store.get_backend(BACKEND).path_prefixes == ("/new",)
        assert store.find_backends("old@example.com") == []

    def test_backends_are_listed_by_id(self, store: Store) -> None:
        for name in ("c", "a", "B", "b"):
            store.put_backend(a_backend(name))
        assert [backend.backend_id for backend in store.list_backends()] == ["B", "a", "b", "c"]

    def test_an_unknown_backend_is_an_error(self, store: Store) -> None:
        with pytest.raises(UnknownBackend):
            store.get_backend(NOBODY)
        with pytest.raises(UnknownBackend):
            store.delete_backend(NOBODY)

    def test_a_user_finds_his_own_backends_and_those_of_all(self, store: Store) -> None:
        store.put_backend(a_backend("everybodys", end_user=ALL_USERS))
        store.put_backend(a_backend("mine", end_user="me@example.com"))
        store.put_backend(a_backend("yours", end_user="you@example.com"))
        assert {backend.backend_id for backend in store.find_backends("me@example.com")} == {"everybodys", "mine"}

    def test_a_user_finds_the_backends_of_his_domain(self, store: Store) -> None:
        store.put_backend(a_backend("ours", end_user="@example.com"))
        store.put_backend(a_backend("theirs", end_user="@example.org"))
        assert [backend.backend_id for backend in store.find_backends("Me@Example.com")] == ["ours"]

    def test_what_is_registered_in_lower_case_is_found_however_the_user_is_spelled(self, store: Store) -> None:
        store.put_backend(a_backend("mine", end_user="me@example.com"))
        assert [backend.backend_id for backend in store.find_backends("mE@eXample.com")] == ["mine"]

    def test_what_is_registered_in_another_spelling_is_found_in_that_one(self, store: Store) -> None:
        store.put_backend(a_backend("mine", end_user="Me@Example.com"))
        assert [backend.end_user for backend in store.find_backends("Me@Example.com")] == ["Me@Example.com"]
        assert store.find_backends("me@example.com") == []

    def test_nobody_finds_only_what_is_for_all(self, store: Store) -> None:
        store.put_backend(a_backend("everybodys"))
        store.put_backend(a_backend("mine", end_user="me@example.com"))
        store.put_backend(a_backend("of-nobody", end_user=""))
        assert [backend.backend_id for backend in store.find_backends("")] == ["everybodys"]

    def test_a_new_backend_is_found_at_once(self, store: Store) -> None:
        assert store.find_backends("me@example.com") == []
        store.put_backend(a_backend("mine", end_user="me@example.com"))
        assert [backend.backend_id for backend in store.find_backends("me@example.com")] == ["mine"]

    def test_a_deleted_backend_is_gone_everywhere(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=NOW)
        store.find_backends("")
        store.delete_backend(BACKEND)
        assert store.find_backends("") == []
        assert store.list_backends() == []
        assert BACKEND not in store.get_statuses([BACKEND])
        with pytest.raises(UnknownBackend):
            store.get_backend(BACKEND)

    def test_deleting_a_backend_takes_its_exchanges_and_no_others(self, store: Store) -> None:
        queued(store, "gone-1")
        queued(store, "gone-2")
        queued(store, "kept", backend_id=OTHER_BACKEND)
        store.delete_backend(BACKEND)
        assert claim(store) == []
        for name in ("gone-1", "gone-2"):
            with pytest.raises(UnknownRequest):
                store.read_answer(BACKEND, an_exchange(name).request_id, 0)
            with pytest.raises(UnknownRequest):
                store.read_request(BACKEND, an_exchange(name).request_id, 0)
        assert claim(store, backend_id=OTHER_BACKEND) == ["kept"]

    def test_a_backend_registered_anew_starts_without_a_past(self, store: Store) -> None:
        queued(store)
        store.touch_backend(BACKEND, polled=NOW, used=NOW)
        store.delete_backend(BACKEND)
        store.put_backend(a_backend())
        assert claim(store) == []
        status = store.get_statuses([BACKEND]).get(BACKEND)
        assert status is None or (status.last_polled, status.last_used) == (None, None)

    def test_an_id_of_a_deleted_backends_exchange_is_free_again(self, store: Store) -> None:
        queued(store)
        store.delete_backend(BACKEND)
        queued(store, request=b"anew")
        part = store.read_request(BACKEND, REQUEST, 0)
        assert part is not None
        assert part.data == b"anew"

    def test_a_note_is_kept(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=NOW)
        store.touch_backend(BACKEND, used=later(1))
        status = store.get_statuses([BACKEND])[BACKEND]
        assert (status.last_polled, status.last_used) == (NOW, later(1))

    def test_times_come_back_aware_to_the_microsecond(self, store: Store) -> None:
        moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=moment)
        polled = store.get_statuses([BACKEND])[BACKEND].last_polled
        assert polled == moment
        assert polled is not None
        assert polled.utcoffset() is not None
        assert polled.astimezone(UTC).microsecond == 678901

    def test_a_note_after_the_spacing_is_not_skipped(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=NOW, used=NOW)
        store.touch_backend(BACKEND, polled=NOW + POLICY.touch_spacing)
        status = store.get_statuses([BACKEND])[BACKEND]
        assert (status.last_polled, status.last_used) == (NOW + POLICY.touch_spacing, NOW)

    def test_a_note_within_the_spacing_loses_no_more_than_the_spacing(self, store: Store) -> None:
        store.put_backend(a_backend())
        for second in range(0, 100, 5):
            store.touch_backend(BACKEND, polled=later(second))
            polled = store.get_statuses([BACKEND])[BACKEND].last_polled
            assert polled is not None
            assert later(second) - POLICY.touch_spacing < polled <= later(second)

    def test_times_only_grow(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=MUCH_LATER, used=MUCH_LATER)
        store.touch_backend(BACKEND, polled=NOW, used=NOW)
        status = store.get_statuses([BACKEND])[BACKEND]
        assert (status.last_polled, status.last_used) == (MUCH_LATER, MUCH_LATER)

    def test_replacing_a_backend_keeps_its_status(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=NOW)
        store.put_backend(a_backend(end_user="new@example.com"))
        assert store.get_statuses([BACKEND])[BACKEND].last_polled == NOW

    def test_a_note_never_brings_a_deleted_backend_back(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=NOW)
        store.delete_backend(BACKEND)
        store.touch_backend(BACKEND, polled=MUCH_LATER, used=MUCH_LATER)
        assert store.list_backends() == []
        assert BACKEND not in store.get_statuses([BACKEND])

    def test_a_note_for_an_unknown_backend_leaves_nothing(self, store: Store) -> None:
        store.touch_backend(NOBODY, polled=NOW)
        assert NOBODY not in store.get_statuses([NOBODY])
        store.put_backend(a_backend(NOBODY))
        status = store.get_statuses([NOBODY]).get(NOBODY)
        assert status is None or status.last_polled is None

    def test_the_note_of_a_backend_registered_anew_is_not_skipped(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=NOW)
        store.delete_backend(BACKEND)
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=later(1))
        assert store.get_statuses([BACKEND])[BACKEND].last_polled == later(1)

    def test_statuses_are_of_those_asked_for(self, store: Store) -> None:
        for name in ("one", "two", "three"):
            store.put_backend(a_backend(name))
            store.touch_backend(BackendId(name), polled=NOW)
        statuses = store.get_statuses([BackendId("one"), BackendId("three"), NOBODY])
        assert set(statuses) == {"one", "three"}
        assert store.get_statuses([]) == {}

    def test_an_exchange_of_an_unregistered_backend_leaves_no_registration(self, store: Store) -> None:
        store.add_exchange(an_exchange(), REQUEST_BYTES, last=True)
        assert claim(store, agent_id=AGENT) == ["request-1"]
        assert store.list_backends() == []
