"""
JSON from clients: read as everybody reads it, or refused.
"""

import json
import sys
import tracemalloc
from contextlib import suppress
from typing import Any

import orjson
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir.limits import (
    MOST_JSON_BYTES,
    MOST_JSON_ITEMS,
    MOST_JSON_KEYS,
)
from fhir_gateway.model.json_reading import UnreadableJson, read_json

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=20,
)
_FINITE = _JSON.filter(lambda value: "Infinity" not in json.dumps(value))
_SAMPLES = [
    pytest.param(
        b'{"status": "proposed", "slot": [{"reference": "Slot/1"}]}', id="ascii"
    ),
    pytest.param('{"given": ["Åsa", "\\u00d6rjan"]}'.encode(), id="swedish letters"),
    pytest.param('{"comment": "😀 \\ud83d\\ude00"}'.encode(), id="surrogate pairs"),
    pytest.param(b'[1, -0.5e10, true, false, null, ""]', id="every kind of value"),
    pytest.param(b'{"a": {"b": {"c": [[[1]]]}}}', id="nested"),
]


@given(_FINITE)
@settings(max_examples=examples(300))
def test_any_json_is_read_back(value: Any) -> None:
    """What was written as JSON is read as the same value."""
    assert read_json(json.dumps(value).encode()) == value


@given(_FINITE)
@settings(max_examples=examples(300))
def test_what_is_read_can_be_written(value: Any) -> None:
    """Answers and fingerprints of requests can hold each value that is read."""
    assert orjson.loads(orjson.dumps(read_json(json.dumps(value).encode()))) == value


@given(st.binary(max_size=200))
@settings(max_examples=examples(500))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No bytes raise anything but UnreadableJson."""
    with suppress(UnreadableJson):
        read_json(body)


@given(_FINITE, st.integers(min_value=0), st.integers(0, 255))
@settings(max_examples=examples(300))
def test_one_changed_byte_is_read_or_refused(value: Any, place: int, byte: int) -> None:
    """JSON with one byte changed is read, or raises UnreadableJson."""
    body = bytearray(json.dumps(value).encode())
    body[place % len(body)] = byte
    with suppress(UnreadableJson):
        read_json(bytes(body))


@pytest.mark.parametrize("sample", _SAMPLES)
def test_json_cut_anywhere_is_refused(sample: bytes) -> None:
    """A body that ends too early is refused, wherever it was cut."""
    for end in range(len(sample)):
        with pytest.raises(UnreadableJson):
            read_json(sample[:end])
    read_json(sample)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            b'{"a": NaN}', "the body holds NaN or an infinite number", id="NaN"
        ),
        pytest.param(
            b"[Infinity]", "the body holds NaN or an infinite number", id="infinity"
        ),
        pytest.param(
            b"[-Infinity]",
            "the body holds NaN or an infinite number",
            id="negative infinity",
        ),
        pytest.param(
            b"[1e999]", "the body holds a number that is too large", id="overflow"
        ),
        pytest.param(
            b"[18446744073709551616]",
            "the body holds a number that is too large",
            id="beyond 64 bits",
        ),
        pytest.param(
            b'{"a": -9223372036854775809}',
            "the body holds a number that is too large",
            id="below 64 bits",
        ),
        pytest.param(
            b"[" + b"9" * 5_000 + b"]",
            "the body is not JSON that is accepted here",
            id="five thousand digits",
        ),
        pytest.param(
            b'{"a": 1, "a": 1}', "the body names a key twice in one object", id="twice"
        ),
        pytest.param(
            b'[{"b": {"a": 1, "\\u0061": 2}}]',
            "the body names a key twice in one object",
            id="twice, once as an escape",
        ),
        pytest.param(
            b"[" * 33 + b"]" * 33, "the body is nested deeper than 32", id="33 deep"
        ),
        pytest.param(
            b"[" * 30_000, "the body is nested deeper than 32", id="30 000 deep"
        ),
        pytest.param(
            b'{"a":' * 33 + b"1" + b"}" * 33,
            "the body is nested deeper than 32",
            id="objects 33 deep",
        ),
        pytest.param(
            b"\xef\xbb\xbf{}", "the body begins with a byte order mark", id="UTF-8 mark"
        ),
        pytest.param(
            '{"a": "å"}'.encode("latin-1"), "the body is not UTF-8", id="latin"
        ),
        pytest.param("{}".encode("utf-16"), "the body is not UTF-8", id="UTF-16 mark"),
        pytest.param(
            "{}".encode("utf-16-le"),
            "the body is not JSON: line 1, column 2",
            id="UTF-16 without a mark",
        ),
        pytest.param(
            b'["\\ud800"]', "the body holds half of a surrogate pair", id="high half"
        ),
        pytest.param(
            b'{"\\udc00": 1}', "the body holds half of a surrogate pair", id="low, key"
        ),
        pytest.param(
            b'["\\udc00\\ud800"]',
            "the body holds half of a surrogate pair",
            id="halves in the wrong order",
        ),
        pytest.param(b"", "the body is not JSON: line 1, column 1", id="nothing"),
        pytest.param(
            b'{\n  "a": 1,\n}',
            # From 3.13, Python names the comma rather than what follows it.
            "the body is not JSON: line 2, column 9"
            if sys.version_info >= (3, 13)
            else "the body is not JSON: line 3, column 1",
            id="comma",
        ),
        pytest.param(
            b"{} {}", "the body is not JSON: line 1, column 4", id="two values"
        ),
        pytest.param(
            b"{'a': 1}", "the body is not JSON: line 1, column 2", id="quotes"
        ),
        pytest.param(
            b'["\x01"]',
            "the body is not JSON: line 1, column 3",
            id="control character",
        ),
        pytest.param(
            b"[" + b'{"a":1},' * 1_000 + b'{"a":1}]',
            "the body has more than 1000 keys",
            id="1,001 keys",
        ),
        pytest.param(
            b"[" + b"1," * 1_001 + b"1]",
            "the body has more than 1000 commas",
            id="1,001 commas",
        ),
        pytest.param(
            b'{"a\\\\":1' + b',"c":1' * 1_000 + b"}",
            "the body has more than 1000 keys",
            id="keys beside a text that ends in a backslash",
        ),
    ],
)
def test_what_readers_differ_on_is_refused(body: bytes, message: str) -> None:
    """JSON that is wrong, or that two readers could read differently, is refused."""
    with pytest.raises(UnreadableJson) as caught:
        read_json(body)
    assert str(caught.value) == message


def test_brackets_in_text_are_no_depth() -> None:
    """Brackets and escaped quotes within a text do not count as nesting."""
    text = '"' + "[{" * 50 + "\\"

    assert read_json(json.dumps({"a": text}).encode()) == {"a": text}


def test_thirty_two_levels_are_read() -> None:
    """A body may be nested 32 deep."""
    body = b"[" * 32 + b"]" * 32

    assert json.dumps(read_json(body)).encode() == body


def test_punctuation_in_text_is_no_key() -> None:
    """Colons and commas within a text do not count, nor does what is escaped there."""
    text = ':,"\\' * 2_000

    assert read_json(json.dumps({"a": text}).encode()) == {"a": text}


def test_the_most_keys_and_items_are_read() -> None:
    """A body may have a thousand keys, and a thousand commas."""
    body = {str(key): key for key in range(MOST_JSON_KEYS)}
    items = list(range(MOST_JSON_ITEMS + 1))

    assert read_json(json.dumps(body).encode()) == body
    assert read_json(json.dumps(items).encode()) == items


def test_the_largest_body_is_read() -> None:
    """A body may have 32 KiB."""
    text = "a" * (MOST_JSON_BYTES - 2)

    assert read_json(json.dumps(text).encode()) == text


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'"' + b"\\n" * 196_000 + b'"', id="escapes"),
        pytest.param(b'"' + b"\\" * 393_000, id="backslashes"),
        pytest.param(b'"' * 393_000, id="quotes"),
        pytest.param(b"[" * 393_000, id="brackets"),
    ],
)
def test_the_largest_body_costs_little_memory(body: bytes) -> None:
    """Reading any body takes less than 10 MB."""
    tracemalloc.start()
    with suppress(UnreadableJson):
        read_json(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10_000_000
