"""The frame as HTML."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.banner.frame import Frame, is_valid_height

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40)


def rendered(target: str = "/", *, banner: str = "", height: str = "40px", favicon_url: str = "") -> str:
    return Frame(banner=banner, height=height, favicon_url=favicon_url).render(target).decode()


class Tags(HTMLParser):
    """All start tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


PLAIN = [tag for tag, _ in Tags(rendered()).found]


@given(VISIBLE)
def test_nothing_in_a_target_gets_out_of_its_place(text: str) -> None:
    tags = Tags(rendered(f"/{text}")).found
    assert [tag for tag, _ in tags] == PLAIN
    assert dict(tags)["iframe"]["src"] == f"/./{text}"


@given(VISIBLE)
def test_nothing_in_the_icons_url_gets_out_of_its_place(text: str) -> None:
    tags = Tags(rendered(favicon_url=f"x{text}")).found
    assert [tag for tag, _ in tags if tag != "link"] == PLAIN
    assert dict(tags)["link"]["href"] == f"x{text}"


@pytest.mark.parametrize("target", ["*", "http://evil.example/x"])
def test_a_target_that_is_no_path_is_no_address_of_the_frame(target: str) -> None:
    assert dict(Tags(rendered(target)).found)["iframe"]["src"] == "/"


def test_a_banner_is_shown_as_given_whatever_it_looks_like() -> None:
    banner = '<b>{{target}} \\1 ä</b><script>"$x"</script>'
    assert f'<div id="inverting-proxy-banner">{banner}</div>' in rendered(banner=banner)


def test_a_page_in_standards_mode() -> None:
    assert rendered().startswith("<!doctype html>\n")


@pytest.mark.parametrize("height", ["40px", "0", "2.5em", "10%", "3rem", "10vh"])
def test_a_height_is_as_in_css(height: str) -> None:
    assert is_valid_height(height)
    assert f"height: {height};" in rendered(height=height)


@pytest.mark.parametrize("height", ["", "40", "px", "-1px", "1px; color: red", "40px}", "40px\n", "calc(1px)"])
def test_what_is_no_height_is_refused(height: str) -> None:
    with pytest.raises(ValueError, match="height"):
        rendered(height=height)
