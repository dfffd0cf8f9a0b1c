"""
The policy: the table that runs is the table that people read.
"""

from pathlib import Path
from typing import Final

from fhir_gateway.access.policy import POLICY, Interaction, Row

_ACCESS: Final = Path(__file__).parents[2] / "docs" / "access.md"
_ORDER: Final = (
    *("read", "search-type", "create", "update", "patch"),
    *("$translate", "$expand", "$lookup", "$validate-code", "$subsumes"),
    *("$bulk-publish", "$find", "$hold", "$book", "$cancel", "$reschedule"),
    *("$validate", "$relations", "$relate", "ProcessNotification"),
)


def written(row: Row) -> str:
    """Return a row as the document has it."""
    types = sorted({each.type for each in row.interactions})
    interactions = "; ".join(
        f"{type_}: "
        + ", ".join(
            name for name in _ORDER if Interaction(type_, name) in row.interactions
        )
        for type_ in types
    )
    purposes = ", ".join(sorted(each.value for each in row.purposes))
    return f"| {row.role.value} | {interactions} | {row.rule.value} | {purposes} |"


def test_the_document_has_the_policy() -> None:
    """docs/access.md shows each row of the policy, in order, and no other."""
    text = _ACCESS.read_text(encoding="utf-8")
    table = text.partition("|---|---|---|---|\n")[2].partition("\n\n")[0]

    assert table.splitlines() == [written(row) for row in POLICY]


def test_an_interaction_has_an_order_in_the_document() -> None:
    """The document leaves no interaction out."""
    names = {each.name for row in POLICY for each in row.interactions}

    assert names == set(_ORDER)
