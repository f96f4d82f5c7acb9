"""`standalone.identity.screens`: pages that nobody can write into, or frame."""

from standalone.identity.screens import redirect_fields, sign_out_page, signed_out_page


def test_what_stands_in_a_page_is_text() -> None:
    _, body = sign_out_page(user='<b>"ada"', action="/out", token='"><script>', leads_to="")

    assert b"<b>" not in body and b"<script>" not in body
    assert b"&lt;b&gt;&quot;ada&quot;" in body


def test_the_form_may_end_here_or_at_the_provider_and_nowhere_else() -> None:
    headers, _ = sign_out_page(user="ada", action="/out", token="t", leads_to="https://id.example.org/end?x=y")
    alone, _ = sign_out_page(user="ada", action="/out", token="t", leads_to="")
    nowhere, _ = signed_out_page()

    ends = [
        (fields.get("Content-Security-Policy") or "").rpartition("form-action ")[2]
        for fields in (headers, alone, nowhere)
    ]
    assert ends == ["'self' https://id.example.org", "'self'", "'none'"]


def test_no_page_is_kept_or_framed() -> None:
    for headers, _ in (sign_out_page(user="ada", action="/out", token="t", leads_to=""), signed_out_page()):
        assert (headers.get("Cache-Control"), headers.get("X-Frame-Options")) == ("no-store", "DENY")


def test_who_is_led_elsewhere_does_not_tell_where_from() -> None:
    fields = redirect_fields("https://id.example.org")

    assert (fields.get("Location"), fields.get("Referrer-Policy")) == ("https://id.example.org", "no-referrer")
