"""Where a script is put: at the start of the head, whatever stands in front of it, and however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.html.scan import HeadScan, Outcome

HERE = b"\xa7"


def with_script(pieces: list[bytes], *, look_ahead: int = 64 * 1024) -> bytes:
    """The page with `HERE` where the script goes."""
    scan = HeadScan(look_ahead)
    page = b""
    for piece in pieces:
        was_searching = scan.outcome is Outcome.SEARCHING
        if not was_searching:
            page += piece
            continue
        page += scan.feed(piece)
        page += HERE if scan.outcome is Outcome.FOUND else b""
        page += scan.rest
    if scan.outcome is Outcome.SEARCHING:
        page += scan.close()
        page += HERE if scan.outcome is Outcome.FOUND else b""
        page += scan.rest
    return page


PLACES = [
    b"<!---><html><head>\xa7<title>-->",
    b"<!doctype html><html><head>\xa7<title>t</title></head><body>b</body></html>",
    b'<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN"\n "http://www.w3.org/TR/html4/strict.dtd"><HTML><HEAD>\xa7<TITLE>',
    b'<html lang=de><head prefix="og: http://ogp.me/ns#" data-x=\'<head>\' a=">">\xa7<script>x</script>',
    b'<html a = "b>" \'c="d"><head>\xa7<title>',
    b'<html "a>\n\xa7b"><head><title>',
    b"<html =a='>'><head/>\xa7<title>",
    b"\n \t<!-- a > b -- > --><!--><!---><!----><!-- --!><html><!----!><head>\xa7<link>",
    b"<!-- <!--> <html><head>\xa7<link>",
    b"<!--[if lt IE 9]><script src=x></script><![endif]--><html><!--<head>--><head>\xa7<title>",
    b"<?xml version='1.0'?><!x><![CDATA[<html>\xa7]]>",
    b"<?xml version='1.0'?><!DOCTYPE html><html><head>\xa7<title>",
    b"</ x><html></><head>\xa7</head>",
    b"\xef\xbb\xbf<!doctype html><head>\xa7<title>",
    b"<!doctype html>\xa7<body><head><title>",
    b"<!doctype html><html>\n\xa7<script>'<head>'</script><head><title>",
    b"<html>\xa7<title><head></title>",
    b"<html>\xa7<header>",
    b"<html>\xa7</head>",
    b"\xa7<p>a",
    b"\xa7hello <head>",
    b"  \xa7< head>",
    b"\xa7<1>",
    b"<html>\xa7&nbsp;<head>",
    b"<html><head>\xa7\x0b<title>",
    b"<html><head>\xa7",
    b"<html> <!-- a -->\xa7",
    b"<html><head>\n<meta charset=utf-8>\n\xa7<meta name=a>",
    b"<meta charset='utf-8'/><META CONTENT='text/html; charset=x' HTTP-EQUIV=Content-Type>\xa7<title>",
    b"<head>\xa7<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">",
    b"<head>\xa7<meta charset=utf-8 http-equiv=content-security-policy content=\"script-src 'none'\">",
    b"<head>\xa7<meta http-equiv=refresh content='0;url=/'>",
    b"<head><meta charset=a>\xa7<html><head>",
    b"<html>\xa7<",
    b"<html>\xa7</",
    b"<html>\xa7<meta charset=x",
]


@pytest.mark.parametrize("marked", PLACES)
def test_the_script_stands_where_the_head_begins(marked: bytes) -> None:
    assert with_script([marked.replace(HERE, b"")]) == marked


PASSED = [
    b"\xff\xfe<\0h\0t\0m\0l\0>\0",
    b"\xfe\xff\0<\0p\0>",
    b"<\0p\0>\0",
    b"\0<\0p\0>",
    b"",
    b"<html><!-- never ended <head><title>",
    b"<html lang='never ended><head><title>",
    b"<!doctype html",
]


@pytest.mark.parametrize("page", PASSED)
def test_a_page_without_a_place_passes_as_it_is(page: bytes) -> None:
    assert with_script([page]) == page


@pytest.mark.parametrize("marked", [*PLACES, *PASSED])
def test_it_makes_no_difference_where_the_bytes_are_cut(marked: bytes) -> None:
    page = marked.replace(HERE, b"")
    whole = with_script([page])
    assert with_script([page[i : i + 1] for i in range(len(page))]) == whole
    assert {with_script([page[:i], page[i:]]) for i in range(len(page) + 1)} == {whole}


SNIPPETS = [
    b"<html", b"<head", b"<HEAD>", b"<meta", b" charset=utf-8", b" http-equiv=", b"content-security-policy", b">", b"<",
    b"!", b"--", b"-", b"<!--", b"-->", b"<!doctype", b" ", b"\n", b"'", b'"', b"=", b"/", b"</", b"a", b"<title>",
    b"<script>", b"\0", b"\xef\xbb\xbf", b"\xff", b"\xfe", b"?",
]  # fmt: skip


@given(st.lists(st.sampled_from(SNIPPETS), max_size=25), st.data(), st.sampled_from([8, 20, 1000]))
def test_every_cutting_gives_the_same_page(snippets: list[bytes], data: st.DataObject, look_ahead: int) -> None:
    page = b"".join(snippets)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(page)), max_size=8)) | {0, len(page)})
    whole = with_script([page], look_ahead=look_ahead)
    assert with_script([page[a:b] for a, b in pairwise(cuts)], look_ahead=look_ahead) == whole
    assert whole.replace(HERE, b"") == page


def test_what_has_been_read_flows_on_at_once() -> None:
    scan = HeadScan()
    flowing = [
        scan.feed(piece) for piece in (b"<!doctype ht", b"ml><!-- a long", b" licence ", b"--><html la", b"ng=x><he")
    ]
    assert b"".join(flowing) == b"<!doctype html><!-- a long licence --><html lang=x>"
    assert (scan.feed(b"ad><ti"), scan.outcome, scan.rest) == (b"<head>", Outcome.SEARCHING, b"")
    assert (scan.feed(b"tle"), scan.outcome, scan.rest) == (b"", Outcome.FOUND, b"<title")


@pytest.mark.parametrize("page", [b"<html></head>", b"<html><p>", b"<html>x", b"<html><1"])
def test_the_place_is_known_as_soon_as_something_stands_there(page: bytes) -> None:
    scan = HeadScan()
    scan.feed(page)
    assert scan.outcome is Outcome.FOUND


def test_a_long_tag_makes_no_difference_where_the_bytes_are_cut() -> None:
    page = b"<head><meta charset=" + b"x" * 200 + b"><title>"
    assert with_script([page], look_ahead=100).index(HERE) == len(b"<head>")
    assert with_script([page[i : i + 1] for i in range(len(page))], look_ahead=100).index(HERE) == len(b"<head>")


@pytest.mark.parametrize("filler", [b" " * 200, b"<!---->" * 30, b"<!--" + b"-" * 200 + b"-->"])
def test_a_page_that_hides_its_start_gets_its_script_after_the_look_ahead_if_it_has_begun(filler: bytes) -> None:
    begun = with_script([b"<!doctype html>", filler, b"<html><head><title>"], look_ahead=100)
    place = begun.index(HERE)
    assert 100 <= place <= len(b"<!doctype html>" + filler)
    assert HERE in with_script([b"<html>", filler, b"<head><title>"], look_ahead=100)
    assert with_script([filler, b"<!doctype html><html><head><title>"], look_ahead=100).count(HERE) == 0


def test_no_more_of_a_tag_is_kept_than_the_look_ahead() -> None:
    scan = HeadScan(100)
    assert scan.feed(b"<head><meta charset=") == b"<head>"
    for _ in range(10):
        if scan.outcome is Outcome.SEARCHING:
            assert scan.feed(b"x" * 20) == b""
    assert (scan.outcome, len(scan.rest) <= 120) == (Outcome.FOUND, True)
