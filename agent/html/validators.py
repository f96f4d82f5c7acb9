"""Entity tags of pages that the agent has changed (RFC 9110 section 8.8.3).

A changed page has a tag of its own: the backend's, with a mark at its end that says how it was changed. A client that
has such a page asks with that tag, and the backend is asked with its own: so `304` means that the changed page is still
right. A tag without the mark stands for a page without the change, or with another one.
"""

import re
from typing import Final

from wire.headers import Headers

_TAG: Final = re.compile(r'((?:W/)?")([!#-~\x80-\xff]*)"')

CONDITIONS: Final = ("If-None-Match", "If-Modified-Since", "If-Range", "Range")
"""What makes an answer other than the whole: it speaks of what the client has already."""


def marked(headers: Headers, mark: str) -> Headers:
    """The fields of an answer, with the mark in its entity tag; one that is not a tag is left out."""
    tag = _TAG.fullmatch((headers.get("ETag") or "").strip())
    rest = headers.without("ETag")
    return rest.adding(("ETag", f'{tag[1]}{tag[2]}{mark}"')) if tag else rest


def asking_for_changed(headers: Headers, mark: str) -> Headers:
    """The fields of a request for a page that will be changed, as the backend may see them.

    Only `If-None-Match` stays of its conditions, and in it the tags with the mark, without it. A time
    (`If-Modified-Since`) does not say which page the client has, and a part of a changed page is not to be had.
    """
    tags = [
        f'{prefix}{text.removesuffix(mark)}"'
        for value in headers.get_all("If-None-Match")
        for prefix, text in _TAG.findall(value)
        if text.endswith(mark)
    ]
    rest = headers.without(*CONDITIONS)
    return rest.adding(("If-None-Match", ", ".join(tags))) if tags else rest


def unmarked(headers: Headers, name: str, mark: str) -> Headers:
    """The fields, with the mark taken off every tag in the field `name`."""
    if name not in headers:
        return headers
    return Headers(
        (key, value.replace(f'{mark}"', '"') if key.lower() == name.lower() else value) for key, value in headers
    )
