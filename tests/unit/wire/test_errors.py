import pytest

from wire.errors import MalformedMessage, MessageTooLarge, WireError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MalformedMessage("x"), 400),
        (MessageTooLarge("x"), 413),
        (MessageTooLarge("x", status_hint=431), 431),
    ],
)
def test_an_error_knows_the_status_to_answer_with(error: WireError, status: int) -> None:
    assert error.status_hint == status


def test_the_hint_of_one_error_is_not_that_of_the_next() -> None:
    MessageTooLarge("head", status_hint=431)

    assert MessageTooLarge("body").status_hint == 413


@pytest.mark.parametrize("kind", [MalformedMessage, MessageTooLarge])
def test_wire_errors_are_caught_together_and_as_wrong_values(kind: type[WireError]) -> None:
    assert issubclass(kind, WireError)
    assert issubclass(kind, ValueError)
    assert str(kind("what is wrong")) == "what is wrong"
