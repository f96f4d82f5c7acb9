from edge.repetitions import Repetitions
from tests.factories import seconds
from tests.fakes.clock import NOON


def test_the_first_of_each_cause_is_logged() -> None:
    repetitions = Repetitions()

    assert [repetitions.left_out(cause, now=NOON) for cause in ("down", "late")] == [0, 0]


def test_one_a_second_is_logged_and_tells_how_many_were_not() -> None:
    repetitions = Repetitions()
    times = [0, 0.1, 0.9, 1, 1.9, 2, 60]

    told = [repetitions.left_out("down", now=NOON + seconds(time)) for time in times]

    assert told == [0, None, None, 2, None, 1, 0]
