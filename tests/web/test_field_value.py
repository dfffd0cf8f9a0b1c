"""
Values of header fields, read in one pass.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest
from costs import least_processor_seconds
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.outcome import Problem
from fhir_gateway.web.exchange import check_accept_header, check_type, preferences
from fhir_gateway.web.field_value import MediaRange, list_members, word
from fhir_gateway.web.precondition import precondition

_CHARACTERS: Final = 15_000
_DEAR_S: Final = 0.050


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", []),
        (" , ;,", []),
        ("a/b;q=1, c/d", [["a/b", "q=1"], [" c/d"]]),
        ('a;x="1,2;3"', [["a", 'x="1,2;3"']]),
        (r'a;x="\",";y,b', [["a", r'x="\","', "y"], ["b"]]),
        ('a;x="1,b;y', [["a", 'x="1,b;y']]),
        ('a;x="1\\', [["a", 'x="1\\']]),
    ],
)
def test_a_list_is_parted_outside_of_quotes(
    text: str, members: list[list[str]]
) -> None:
    """A comma parts members, a semicolon parameters, and a quotation neither."""
    assert list(list_members(text)) == members


@given(st.text(max_size=40))
def test_a_word_comes_back(said: str) -> None:
    """What is quoted with its escapes is read as it was."""
    quoted = "".join(f"\\{each}" if each in '"\\' else each for each in said)

    assert list(list_members(f'a;x="{quoted}",b')) == [["a", f'x="{quoted}"'], ["b"]]
    assert word(f'"{quoted}"') == said


@given(st.text(alphabet='ab/;,="\\ \t*', max_size=40))
def test_any_media_type_is_survived(text: str) -> None:
    """None makes its reader fail, and a list of several is no media type of ours."""
    read = MediaRange.parse(text)

    assert len(list(list_members(text))) <= 1 or read == MediaRange(text, {})
    assert 0 <= read.quality <= 1


def _shapes() -> list[str]:
    heads = ("", "a/b", "a/b;q=", 'a/b;x="', '"1"')
    units = (
        *(" ", "\t", ";", ",", "a", '"', "\\", "=", "*", ";a", "; a", ";a=", ";a=b"),
        *(
            ",a",
            ", ",
            ",*/*",
            ",text/*;q=0",
            '"a"',
            '\\"',
            "%41",
            ";a*=utf-8''%41",
            ";a*0=b",
            "-",
        ),
    )
    ends = ("", "x", '"', ",x=1")
    return [
        head + unit * (_CHARACTERS // len(unit)) + end
        for head in heads
        for unit in units
        for end in ends
    ]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("Accept", check_accept_header),
        ("Content-Type", check_type),
        ("Prefer", preferences),
        ("If-Match", precondition),
        ("If-None-Match", precondition),
    ],
)
def test_no_header_is_dear_to_read(name: str, read: Callable[[], Any]) -> None:
    """The dearest of 16 KiB costs milliseconds of a processor, in any shape."""

    def read_or_refuse() -> None:
        with suppress(Problem):
            read()

    dearest = 0.0
    app = Flask(__name__)
    for shape in _shapes():
        with app.test_request_context(headers={name: shape}):
            took = least_processor_seconds(read_or_refuse, enough=_DEAR_S)
        dearest = max(dearest, took)

    assert dearest < _DEAR_S
