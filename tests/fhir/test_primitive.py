"""
Which JSON values each primitive type of R4 takes, and what it costs to find out.
"""

import tracemalloc

import pytest

from fhir_gateway.fhir.limits import MOST_SENT_BACK_BYTES
from fhir_gateway.fhir.primitive import is_primitive_value

_TYPES = [
    *("string", "markdown", "xhtml", "uri", "url", "canonical", "code", "id", "oid"),
    *("uuid", "base64Binary", "date", "dateTime", "instant", "time"),
]


@pytest.mark.parametrize(
    ("piece", "around"),
    [
        ("QUJD", ""),
        ("a ", "a"),
        (" a", ""),
        (".1", "urn:oid:1"),
        (".10", "urn:oid:1"),
        ("= ", "QQ"),
        ("1", "2026-06-08T08:00:00."),
        ("<div> ", "<div>"),
    ],
)
@pytest.mark.parametrize("type_name", _TYPES)
@pytest.mark.parametrize("end", ["", "\x7f", " "])
def test_a_long_text_takes_no_memory_to_check(
    type_name: str, piece: str, around: str, end: str
) -> None:
    """However long a text is, the check keeps nothing for each piece of it."""
    text = around + piece * (MOST_SENT_BACK_BYTES // len(piece)) + end
    tracemalloc.start()
    try:
        is_primitive_value(type_name, text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100_000


@pytest.mark.parametrize(
    ("type_name", "text", "is_one"),
    [
        ("code", "a", True),
        ("code", "a b c", True),
        ("code", "a  b", False),
        ("code", " a", False),
        ("code", "a ", False),
        ("oid", "urn:oid:1.2.752.129", True),
        ("oid", "urn:oid:1.0.10", True),
        ("oid", "urn:oid:1", False),
        ("oid", "urn:oid:1.02", False),
        ("oid", "urn:oid:1.2.", False),
        ("base64Binary", "QUJD", True),
        ("base64Binary", " QU JD\nQQ = = ", True),
        ("base64Binary", "QQ===", False),
        ("base64Binary", "=", False),
        ("base64Binary", "QQ==QQ", False),
        ("base64Binary", "Q-", False),
    ],
)
def test_a_text_is_read_by_the_types_pattern(
    type_name: str, text: str, *, is_one: bool
) -> None:
    """R4's pattern says what is a value of the type."""
    assert is_primitive_value(type_name, text) is is_one
