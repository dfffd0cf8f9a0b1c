"""
The table of log events in docs/running.md lists what the code logs, and nothing else.
"""

import re
from pathlib import Path
from typing import Final

import pytest
from log_events import UnreadableEvent, logged_events, source_texts

ROOT: Final = Path(__file__).parents[1]
_HEAD: Final = "import structlog\n_log = structlog.get_logger()\n"


def _table() -> list[tuple[str, str]]:
    """Return each event of the table with each of its levels."""
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    section = text.split("\n## Logs\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`.*?) \| ([a-z, ]+) \| .+ \|$", section, re.MULTILINE)
    return [
        (event, level)
        for events, levels in rows
        for event in re.findall(r"`([^`]+)`", events)
        for level in levels.split(", ")
    ]


def test_each_event_has_a_row_with_its_level() -> None:
    """Each event that the code logs is in the table, with each of its levels."""
    missing = logged_events(source_texts(ROOT / "fhir_gateway")) - set(_table())

    assert sorted(missing) == []


def test_no_event_is_made_up() -> None:
    """Each event of the table is logged by the code, with that level."""
    made_up = set(_table()) - logged_events(source_texts(ROOT / "fhir_gateway"))

    assert sorted(made_up) == []


def test_no_event_has_two_rows() -> None:
    """Each event stands in the table once."""
    table = _table()

    assert len(table) == len(set(table))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param('_log.info("a b")', {("a b", "info")}, id="constant"),
        pytest.param(
            '_log.warning("a" if x else "b", y=1)',
            {("a", "warning"), ("b", "warning")},
            id="one of two",
        ),
        pytest.param('_log.debug("a")', set(), id="never written"),
        pytest.param('other.info("a")', set(), id="another object"),
        pytest.param(
            'def note(x, event): _log.error(event)\nnote(1, "a")\nnote(1, event="b")',
            {("a", "error"), ("b", "error")},
            id="passed on",
        ),
        pytest.param(
            'def note(event): _log.error(event)\nevent = "a"\nnote(event)',
            {("a", "error")},
            id="passed on in a variable",
        ),
    ],
)
def test_events_are_found_in_code(code: str, expected: set[tuple[str, str]]) -> None:
    """Each way in which this program spells an event is found."""
    assert logged_events({"m.py": _HEAD + code}) == expected


@pytest.mark.parametrize(
    "code", ['_log.info(f"a {b}")', "_log.info()", '_log.log(10, "a")']
)
def test_an_event_that_is_no_constant_is_refused(code: str) -> None:
    """An event that the table could not list is an error."""
    with pytest.raises(UnreadableEvent):
        logged_events({"m.py": _HEAD + code})
