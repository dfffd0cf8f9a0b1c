"""
Searches with any parameters, of every type, by everybody.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.web.appointment_query import AppointmentSearchSchema
from fhir_gateway.web.audit_event import AuditEventSearchSchema
from fhir_gateway.web.directory.routes import directory_schemas
from fhir_gateway.web.measure_report import MeasureReportSearchSchema
from fhir_gateway.web.slot_query import SlotSearchSchema

from .canary import NUMBER
from .texts import DATES, TEXTS
from .tries import tried
from .world import EVERYBODY, World, ask

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

Pairs = Sequence[tuple[str, str]]

_NAMES: Final = {
    "Slot": sorted(SlotSearchSchema().by_name),
    **{type_: sorted(schema.by_name) for type_, schema in directory_schemas().items()},
    "Appointment": sorted(AppointmentSearchSchema().by_name),
    "AuditEvent": sorted(AuditEventSearchSchema().by_name),
    "MeasureReport": sorted(MeasureReportSearchSchema().by_name),
    "Schedule": [],
    "Location": [],
    "Patient": [],
    "Bundle": [],
}
_ANY_NAMES = (
    st.sampled_from(
        [
            *("_has:Appointment:slot:patient", "_has:Slot:schedule:status", "_id"),
            *("_filter", "_query", "_contained", "_containedType", "_text", "_content"),
            *("_lastUpdated", "_elements", "_summary", "_total", "_type", "_list"),
            *("_include", "_include:iterate", "_revinclude", "_revinclude:iterate"),
            *("patient", "patient.identifier", "patient:Patient.identifier", "actor"),
            *("schedule.actor:Patient.name", "schedule.actor", "slot.schedule.actor"),
            *("_format", "_pretty", "_sort", "_count", "_cursor", "_security", "_tag"),
        ]
    )
    | TEXTS
)
_MODIFIERS = st.sampled_from(
    ["", "", "", ":missing", ":not", ":exact", ":below", ":iterate", ":Patient", ".x"]
)
_VALUES = (
    st.sampled_from(
        [
            *(
                "0",
                "1",
                "-1",
                "1000",
                "1e9",
                "999999999",
                "free",
                "booked",
                "true",
                "*",
            ),
            *("Slot:schedule", "Appointment:patient", "Slot:*", "Schedule:actor", "-x"),
            *("59.3|18.0|5|km", "91|181", "NaN|NaN", "59.3|18.0|1e999|km", "start,-x"),
            *(f"http://electronichealth.se/identifier/personnummer|{NUMBER}", NUMBER),
            *("xml", "json", "application/fhir+xml", "text/html", "data", "count"),
        ]
    )
    | DATES
    | TEXTS
)


@st.composite
def searches(draw: st.DrawFn) -> tuple[str, Pairs]:
    """Return a type, and parameters."""
    kind = draw(st.sampled_from(sorted(_NAMES)))
    names = st.sampled_from(_NAMES[kind]) | _ANY_NAMES if _NAMES[kind] else _ANY_NAMES
    pair = st.tuples(st.builds(str.__add__, names, _MODIFIERS), _VALUES)
    pairs = draw(st.lists(pair, min_size=1, max_size=4))
    times = draw(st.sampled_from([1] * 30 + [3, 200]))
    return kind, pairs * times


def encoded(pairs: Pairs) -> str:
    """Return a query, or a form."""
    return "&".join(
        "=".join(quote(each, safe="", errors="replace") for each in pair)
        for pair in pairs
    )


@given(
    search=searches(),
    who=st.sampled_from(EVERYBODY),
    by_form=st.booleans(),
    is_strict=st.booleans(),
)
@tried("search parameters")
def test_a_search_by_anything_is_answered_or_refused(
    world: World,
    number: str,
    search: tuple[str, Pairs],
    who: str,
    *,
    by_form: bool,
    is_strict: bool,
) -> None:
    """No search fails, takes long, or shows the canary."""
    kind, pairs = search
    client = world.client(who, number)
    headers = {"Prefer": "handling=strict"} if is_strict else {}
    if by_form:
        response = ask(
            client,
            "POST",
            f"/fhir/{kind}/_search",
            data=encoded(pairs),
            content_type="application/x-www-form-urlencoded",
            headers=headers,
        )
    else:
        response = ask(client, "GET", f"/fhir/{kind}?{encoded(pairs)}", headers=headers)

    assert response.status_code in (200, 400, 401, 403, 404, 405, 406, 413, 414)
