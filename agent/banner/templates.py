"""Templates: `{{name}}` in a file beside this one stands for a value."""

import pkgutil
import re

_NAME = re.compile(r"\{\{([a-z]+)\}\}")


def read_template(name: str) -> str:
    """The text of a template; from an archive too."""
    data = pkgutil.get_data(__package__ or "", name)
    assert data is not None
    return data.decode()


def fill(template: str, values: dict[str, str]) -> str:
    """The template with its values, which are HTML already; what looks like a name inside a value is none."""
    return _NAME.sub(lambda match: values[match[1]], template)
