"""
The form of FHIR's JSON (R4, 2.6.2), whatever the resource.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.fhir.r4 import is_type

__all__ = ["below", "form_issues"]

# An element's name that can be repeated: others may be somebody's name or number.
_ELEMENT_NAME: Final = re.compile(r"_?[a-z][A-Za-z]{0,39}")


def form_issues(value: Any, path: str) -> Iterator[Issue]:  # noqa: ANN401 - JSON is any value
    """Yield what FHIR's JSON (R4, 2.6.2) has no room for: null and what is empty."""
    if value is None or value in ("", [], {}):
        yield Issue(
            code="structure",
            diagnostics="Nothing in FHIR's JSON is null or empty: leave it out.",
            expression=path,
        )
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from form_issues(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            # A list of values has null where its twin, the list of their extensions,
            # has something.
            if isinstance(item, list) and {name, _twin(name)} <= value.keys():
                continue
            if name.startswith("_") and not isinstance(item, dict | list):
                yield Issue(
                    code="value",
                    diagnostics="The element's value does not fit its type in R4.",
                    expression=below(path, name),
                )
            else:
                yield from form_issues(item, below(path, name))
        kind = value.get("resourceType", "Element")
        if not isinstance(kind, str) or not is_type(kind):
            yield Issue(
                code="structure",
                diagnostics="There is no such type of resource in R4.",
                expression=below(path, "resourceType"),
            )


def below(path: str, name: str) -> str:
    """Return the path of an element; what it stands in when its name is a secret."""
    # The nearest that can be named: an unknown element may be called anything.
    # What is said of a value's twin, as _status, is said of the value.
    return f"{path}.{name.lstrip('_')}" if _ELEMENT_NAME.fullmatch(name) else path


def _twin(name: str) -> str:
    return name[1:] if name.startswith("_") else f"_{name}"
