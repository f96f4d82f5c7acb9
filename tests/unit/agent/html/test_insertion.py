"""A script in a body that flows."""

from collections.abc import Iterator

from agent.html.insertion import inserting
from agent.html.scan import HeadScan
from wire.headers import Headers
from wire.http1 import End


def test_all_else_of_the_body_stays_and_the_script_comes_once() -> None:
    pieces = [b"<html><he", b"ad><title>", b"</title>", b"<head>"]
    events = list(inserting(iter([*pieces, End()]), b"SCRIPT", HeadScan()))
    assert events == [b"<html>", b"<head>SCRIPT<title>", b"</title>", b"<head>", End()]


def test_a_page_that_shows_nothing_has_its_script_at_its_end() -> None:
    assert list(inserting(iter([b"<html> ", End()]), b"SCRIPT", HeadScan())) == [b"<html> ", b"SCRIPT", End()]


def test_a_body_without_a_byte_stays_so() -> None:
    assert list(inserting(iter([End()]), b"SCRIPT", HeadScan())) == [End()]


def test_nothing_is_asked_for_before_it_is_needed() -> None:
    asked = []

    def body() -> Iterator[bytes | End]:
        for piece in (b"<html>", b"<p class=a>", b"x"):
            asked.append(piece)
            yield piece
        yield End()

    flowing = inserting(body(), b"SCRIPT", HeadScan())
    assert (next(flowing), asked) == (b"<html>", [b"<html>"])
    assert (next(flowing), asked) == (b"SCRIPT<p class=a>", [b"<html>", b"<p class=a>"])


def test_trailers_that_speak_of_the_old_bytes_are_left_out() -> None:
    trailers = Headers([("Repr-Digest", "x"), ("Server-Timing", "1"), ("etag", '"a"')])
    *_, last = inserting(iter([b"<p>", End(trailers)]), b"SCRIPT", HeadScan())
    assert last == End(Headers([("Server-Timing", "1")]))
