"""
The table of search parameters: every one of R4 is supported, or listed as not.

tests/data/r4/search-parameters.json has the codes of FHIR 4.0.1's definitions.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from fhir_gateway.fhir.search_schema import SearchSchema
from fhir_gateway.web.appointment_query import AppointmentSearchSchema
from fhir_gateway.web.audit_event import AuditEventSearchSchema
from fhir_gateway.web.conformance import PUBLISHED_SCHEMAS
from fhir_gateway.web.directory.routes import directory_schemas
from fhir_gateway.web.measure_report import MeasureReportSearchSchema
from fhir_gateway.web.slot_query import SlotSearchSchema

_ROOT: Final = Path(__file__).parents[2]
_PAGE: Final = (_ROOT / "docs/interactions/search-parameters.md").read_text(
    encoding="utf-8"
)
_R4: Final[dict[str, list[str]]] = json.loads(
    (_ROOT / "tests/data/r4/search-parameters.json").read_text(encoding="utf-8")
)
_SCHEMAS: Final[dict[str, SearchSchema[Any]]] = {
    "Slot": SlotSearchSchema(),
    **directory_schemas(),
    **PUBLISHED_SCHEMAS,
    "Appointment": AppointmentSearchSchema(),
    "AuditEvent": AuditEventSearchSchema(),
    "MeasureReport": MeasureReportSearchSchema(),
}
_ROW: Final = re.compile(
    r"^\| `(?P<name>[^`]+)` \| (?P<supported>\w[\w ]*) \| (?P<why>.+) \|$", re.MULTILINE
)


def rows(kind: str) -> dict[str, re.Match[str]]:
    """Return the rows of a type's table."""
    section = _PAGE.partition(f"## {kind}\n")[2].partition("\n## ")[0]
    return {match["name"]: match for match in _ROW.finditer(section)}


@pytest.mark.parametrize("kind", _R4)
def test_the_table_has_each_parameter_of_r4(kind: str) -> None:
    """The document names each R4 parameter of a type, and no other."""
    assert list(rows(kind)) == _R4[kind]


@pytest.mark.parametrize("kind", _R4)
def test_the_table_says_what_the_server_supports(kind: str) -> None:
    """A parameter is supported in the document when the server declares it."""
    supported = {name for name, row in rows(kind).items() if row["supported"] == "yes"}

    assert supported == _SCHEMAS[kind].by_name.keys() & set(_R4[kind])


@pytest.mark.parametrize("kind", _R4)
def test_the_table_has_the_reasons_that_the_server_gives(kind: str) -> None:
    """What a search refuses has one reason, in the document and in the answer."""
    table = rows(kind)
    reasons = {
        name: row["why"] for name, row in table.items() if row["supported"] == "no"
    }
    given = _SCHEMAS[kind].refused

    assert reasons == {
        name: given[name]
        for name in given
        if name[0] != "_" and table[name]["supported"] != "in part"
    }
