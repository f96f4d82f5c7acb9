from agent.process.allocation import GivingBack, OtherLibrary, c_library, share_one_heap


class Glibc:
    def __init__(self) -> None:
        self.told: dict[int, int] = {}
        self.trimmed: list[int] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.told[parameter] = value
        return 1

    def malloc_trim(self, padding: int) -> int:
        self.trimmed.append(padding)
        return 1


def test_a_c_library_that_can_is_told_that_threads_share_a_heap() -> None:
    glibc = Glibc()

    assert share_one_heap(glibc)
    assert glibc.told == {-8: 1}


def test_another_c_library_does_as_it_likes() -> None:
    assert not share_one_heap(OtherLibrary())


def test_what_is_free_is_given_back_three_times_a_minute() -> None:
    glibc = Glibc()
    giving_back = GivingBack(glibc)

    for _ in range(60):
        giving_back.look()

    assert glibc.trimmed == [0, 0, 0]


def test_there_is_always_a_c_library() -> None:
    assert c_library().malloc_trim(0) in (0, 1)
