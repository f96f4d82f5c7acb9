from standalone.process.allocation import keep_freed_memory


class Glibc:
    def __init__(self) -> None:
        self.told: dict[int, int] = {}

    def mallopt(self, parameter: int, value: int) -> int:
        self.told[parameter] = value
        return 1


def test_a_c_library_that_can_is_told_what_to_keep() -> None:
    glibc = Glibc()

    assert keep_freed_memory(glibc)
    assert glibc.told == {-1: 16 << 20, -3: 4 << 20}


def test_another_c_library_does_as_it_likes() -> None:
    assert not keep_freed_memory(object())  # type: ignore[arg-type]
