"""Outbound HTTP proxies: which URL goes by which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.proxy.outbound import OutboundProxies, outbound_fields

FAR = "https://agent-dot-proxy.example.com/path"


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, FAR, None),
        ({"HTTPS_PROXY": "http://out:3128"}, FAR, "http://out:3128"),
        ({"https_proxy": "http://out:3128"}, FAR, "http://out:3128"),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, FAR, "http://upper:1"),
        ({"HTTPS_PROXY": "", "https_proxy": "http://lower:1"}, FAR, "http://lower:1"),
        ({"HTTPS_PROXY": "out:3128"}, FAR, "http://out:3128"),
        ({"HTTPS_PROXY": "https://u:p@out"}, FAR, "https://u:p@out"),
        ({"HTTP_PROXY": "http://out:3128"}, FAR, None),
        ({"HTTP_PROXY": "http://out:3128"}, "http://proxy.example.com", "http://out:3128"),
        ({"HTTPS_PROXY": "http://out:3128"}, "http://proxy.example.com", None),
    ],
)
def test_the_scheme_chooses_the_variable(environment: dict[str, str], url: str, expected: str | None) -> None:
    assert OutboundProxies.from_environment(environment).choose(url) == expected


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("", FAR, False),
        ("*", FAR, True),
        ("example.com", FAR, True),
        ("EXAMPLE.com", FAR, True),
        (".example.com", FAR, True),
        ("*.example.com", FAR, True),
        ("ample.com", FAR, False),
        ("other.com, example.com", FAR, True),
        ("other.com example.com", FAR, True),
        (".example.com", "https://example.com", False),
        ("example.com", "https://example.com", True),
        ("example.com:443", FAR, True),
        ("example.com:8443", FAR, False),
        ("example.com:8443", "https://example.com:8443", True),
        ("example.com", "https://example.com.", True),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.0/8", FAR, False),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.3:443", "https://10.1.2.3", True),
        ("fd00::/8", "https://[fd00::1]", True),
        ("fd00::1", "https://[fd00::1]:8443", True),
        ("[fd00::1]:443", "https://[fd00::1]", True),
        ("[fd00::1]:443", "https://[fd00::1]:8443", False),
        ("nonsense/99, :, [, example.com:x", "https://elsewhere.net", False),
        ("", "https://localhost:8080", True),
        ("", "https://127.8.9.1", True),
        ("", "https://[::1]", True),
        ("", "https://169.254.169.254", True),
    ],
)
def test_what_is_near_or_excepted_goes_directly(no_proxy: str, url: str, is_direct: bool) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        chosen = OutboundProxies.from_environment({"HTTPS_PROXY": "http://out:3128", name: no_proxy}).choose(url)
        assert chosen == (None if is_direct else "http://out:3128")


@pytest.mark.parametrize(
    "value", ["socks5://u:SECRET@out:1", "http://", "http://u:SECRET@[", "http://a SECRET", "http://o:x"]
)
def test_what_is_no_http_proxy_is_an_error_that_does_not_quote_it(value: str) -> None:
    with pytest.raises(ValueError, match="HTTPS_PROXY") as caught:
        OutboundProxies.from_environment({"HTTPS_PROXY": value})
    assert "SECRET" not in str(caught.value)


def test_a_password_is_not_shown_by_accident() -> None:
    assert "SECRET" not in repr(OutboundProxies.from_environment({"HTTP_PROXY": "http://u:SECRET@out"}))


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("http://out:3128", ()),
        ("http://user:pass@out:3128", (("Proxy-Authorization", "Basic dXNlcjpwYXNz"),)),
        ("http://us%40er:p%3Ass@out", (("Proxy-Authorization", "Basic dXNAZXI6cDpzcw=="),)),
        ("http://user@out", (("Proxy-Authorization", "Basic dXNlcjo="),)),
    ],
)
def test_user_and_password_are_shown_to_the_proxy(url: str, fields: tuple[tuple[str, str], ...]) -> None:
    assert outbound_fields(url) == fields


@given(st.text(), st.sampled_from([FAR, "https://10.1.2.3", "https://[fd00::1]:8443"]))
def test_any_exception_list_is_read(no_proxy: str, url: str) -> None:
    proxies = OutboundProxies.from_environment({"HTTPS_PROXY": "http://out:3128", "NO_PROXY": no_proxy})
    assert proxies.choose(url) in (None, "http://out:3128")
