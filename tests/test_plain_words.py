"""
The words that CONTRIBUTING rules out stand nowhere.

A program finds words, not riddles: reading aloud finds the rest.
"""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
TEXTS: Final = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "fhir_gateway/**/*.py",
        "profiles/**/*.json",
    )
    for path in ROOT.glob(pattern)
)
TESTS: Final = sorted(
    {*ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/*.py")} - {Path(__file__)}
)
_RULED_OUT: Final = re.compile(
    r"\b(?:(?<!\.)tells?|told|comes? (?:to(?! (?:rest|hold))|of)|becomes? of"
    r"|whatever|whoever|whose|called to|stencils?|tenure|kept answers?)\b",
    re.IGNORECASE,
)
# The style sheet quotes them, and a change log quotes names that are gone.
_QUOTED: Final = re.compile(
    r"^\| Not \| But \|$.*?^$|`[^`\n]*`", re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize(
    "path", [*TEXTS, *TESTS], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_word_that_is_ruled_out_is_used(path: Path) -> None:
    """Each text says who does what, in words that need no second reading."""
    text = _QUOTED.sub("", path.read_text(encoding="utf-8"))

    assert [match[0] for match in _RULED_OUT.finditer(text)] == []


@pytest.mark.parametrize(
    "sentence",
    ["A client is told why.", "What it comes to.", "Whatever came.", "Whose it is."],
)
def test_a_word_that_is_ruled_out_is_found(sentence: str) -> None:
    """The search finds what it looks for."""
    assert _RULED_OUT.search(sentence)
