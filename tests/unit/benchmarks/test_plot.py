from xml.etree import ElementTree

from benchmarks.plot import Panel, draw

_SVG = "{http://www.w3.org/2000/svg}"


def words(image: str) -> list[str | None]:
    return [each.text for each in ElementTree.fromstring(image).iter(f"{_SVG}text")]


def test_the_first_number_of_clients_says_what_it_is_and_the_others_do_not() -> None:
    shown = words(draw([Panel("p50", {"nginx": {1: 2.0, 16: 3.0}})]))
    assert "1 client" in shown
    assert "16" in shown


def test_a_panel_may_be_over_something_else_than_clients() -> None:
    assert "10 requests/s" in words(draw([Panel("p50", {"nginx": {10: 2.0, 100: 3.0}}, "requests/s")]))


def test_what_is_not_greater_than_zero_has_no_point() -> None:
    image = ElementTree.fromstring(draw([Panel("p50", {"nginx": {1: 2.0, 16: 0.0}})]))
    assert len(list(image.iter(f"{_SVG}circle"))) == 1


def test_the_last_number_fits_into_the_image() -> None:
    image = ElementTree.fromstring(draw([Panel("p50", {"nginx": {10: 2.0, 10_000: 3.0}})] * 2))
    rightmost = max(float(each.get("x", "0")) for each in image.iter(f"{_SVG}text") if each.text == "10000")
    assert 340 + rightmost + 15 <= float(image.get("width", "0"))
