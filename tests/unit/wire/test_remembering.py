"""`wire.remembering`: the same answers, found faster, in bounded memory."""

from wire.remembering import LONGEST, MOST, Remembered


def test_each_name_is_asked_for_once() -> None:
    asked: list[str] = []
    upper = Remembered(lambda name: (asked.append(name), name.upper())[1])

    assert [upper["a"], upper["b"], upper["a"]] == ["A", "B", "A"]
    assert asked == ["a", "b"]


def test_long_names_are_not_kept() -> None:
    lengths = Remembered(len)

    assert [lengths["x" * LONGEST], lengths["y" * (LONGEST + 1)]] == [LONGEST, LONGEST + 1]
    assert list(lengths) == ["x" * LONGEST]


def test_no_more_names_are_kept_than_there_is_room_for() -> None:
    lengths = Remembered(len)

    for number in range(MOST + 1):
        assert lengths[f"{number}"] == len(f"{number}")

    assert list(lengths) == [f"{MOST}"]
