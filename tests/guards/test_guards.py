"""
The table of guards fits the program and the documents.
"""

from pathlib import Path
from typing import Final

import pytest

from guards.guard import GUARDS, Guard

_ROOT: Final = Path(__file__).parents[2]


@pytest.mark.parametrize("guard", [pytest.param(each, id=each.name) for each in GUARDS])
def test_each_guard_stands_in_its_module_once(guard: Guard) -> None:
    """
    A guard's text stands exactly once in the module that the table names.
    """
    program = (_ROOT / "fhir_gateway" / guard.path).read_text(encoding="utf-8")

    assert program.count(guard.text) == 1
    assert compile(program.replace(guard.text, guard.without), guard.path, "exec")


def test_the_documents_list_each_guard() -> None:
    """
    docs/testing.md has a row for each guard, with its suite.
    """
    page = (_ROOT / "docs" / "testing.md").read_text(encoding="utf-8")

    assert [
        guard.name
        for guard in GUARDS
        if f"| {guard.name} | `{guard.suite}` |" not in page
    ] == []
