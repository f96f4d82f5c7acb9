from random import Random

from benchmarks.simulation.datastore import Datastore
from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.registrations import Registrations
from broker.policy import Policy

POLICY = Policy()


class Site:
    def __init__(self, *, backends: int = 2) -> None:
        self.engine = Engine()
        self.datastore = Datastore(self.engine, Random(1))
        self.registrations = Registrations(self.engine, self.datastore, POLICY, backends=backends)

    def route(self, number: int, *, instance: int) -> str:
        routed: list[str] = []

        def ask() -> Process[None]:
            routed.append((yield from self.registrations.route(number, instance=instance)).backend_id)

        self.engine.spawn(ask())
        self.engine.run(until=self.engine.seconds + 0.4)
        return routed[0]


def test_each_user_comes_to_his_backend() -> None:
    site = Site()
    assert [site.route(number, instance=0) for number in (0, 1)] == ["b0", "b1"]


def test_an_instance_remembers_what_it_has_read_and_another_reads_it_anew() -> None:
    site = Site()
    for instance in (0, 0, 1):
        site.route(0, instance=instance)
    assert site.datastore.calls["RunQuery"] == 2


def test_what_was_read_is_read_again_after_its_age() -> None:
    site = Site()
    for _ in range(2):
        site.route(0, instance=0)
    site.engine.run(until=2 * POLICY.backends_age.total_seconds())
    site.route(0, instance=0)
    assert site.datastore.calls["RunQuery"] == 2


def test_of_all_instances_one_notes_a_backend_in_the_spacing_of_the_policy() -> None:
    site, instances = Site(backends=1), 7

    def touch_all() -> Process[None]:
        while True:
            for instance in range(instances):
                yield from site.registrations.touch(0, "used", instance=instance)
            yield 1.0

    site.engine.spawn(touch_all())
    spacing = POLICY.touch_spacing.total_seconds()
    site.engine.run(until=10 * spacing)
    noted = site.datastore.calls["Commit"]
    assert 9 <= noted <= 10
