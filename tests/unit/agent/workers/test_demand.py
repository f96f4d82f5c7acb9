"""Whether one process is enough."""

from agent.workers.demand import Demand


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.used = 0.0

    def pass_by(self, seconds: float, *, busy: float) -> None:
        self.now += seconds
        self.used += busy


def test_it_is_high_once_a_core_was_busy_and_stays_so() -> None:
    time = Time()
    demand = Demand(now=lambda: time.now, used=lambda: time.used)
    said = []
    for busy in (0.1, 0.7, 0.9, 0.0):
        time.pass_by(1.0, busy=busy)
        said.append(demand.is_high())
    assert said == [False, False, True, True]


def test_between_two_questions_at_once_nothing_is_known() -> None:
    assert not Demand(now=lambda: 0.0, used=lambda: 5.0).is_high()
