"""
A region with partly unreadable answers: what searches, and the operator, see.

The region speaks SOAP over HTTP; the worker's refresh asks it, and clients search.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timekeeping import civil_date, now

from .running import OtherPrograms, fill

UNIT = "SE2321000016-A01"
BODY = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
            xmlns="urn:riv:crm:scheduling:{name}Responder:1"
            xmlns:c="urn:riv:crm:scheduling:1">
  <s:Header>{header}</s:Header><s:Body><{name}Response>{items}</{name}Response></s:Body>
</s:Envelope>"""
SOURCES = """
[sources.norr]
adapter = "scheduling_1_1"
title = "Region Norr"
prefixes = ["SE2321000016-"]
agent = "SE2321000016-AGENT"
refresh_subject = "191212121212"
calls_per_second = 1000.0
horizon_days = 5
options.endpoint = "{url}/{{interaction}}"
options.supports = [
  "GetAllTimeTypes", "GetAllPerformers", "GetAvailableTimeslots", "MakeBooking",
  "CancelBooking", "GetSubjectOfCareSchedule",
]
units = [{{ hsa_id = "SE2321000016-A01", name = "Mottagningen" }}]
"""
TIME_TYPE = (
    "<ListOfTimeTypes><c:timeTypeName>Besök</c:timeTypeName>"
    "<c:timeTypeId>4</c:timeTypeId></ListOfTimeTypes>"
)
NAMELESS = (
    "<ListOfTimeTypes><c:timeTypeName/><c:timeTypeId>4</c:timeTypeId></ListOfTimeTypes>"
)


def slot(hour: int, minutes: int = 30, time_type: str = "4") -> str:
    """Return a free time of tomorrow as the region lists it."""
    day = f"{civil_date(now()) + timedelta(days=1):%Y%m%d}"
    return (
        f"<timeslotDetail><c:startTimeInclusive>{day}{hour:02}0000"
        f"</c:startTimeInclusive><c:endTimeExclusive>{day}{hour:02}{minutes:02}00"
        f"</c:endTimeExclusive><c:healthcare_facility>{UNIT}</c:healthcare_facility>"
        f"<c:timeTypeName>Besök</c:timeTypeName><c:timeTypeID>{time_type}"
        "</c:timeTypeID></timeslotDetail>"
    )


@contextmanager
def answering(items: dict[str, str | None]) -> Iterator[str]:
    """Give the URL of a region that answers each contract with the given items."""

    class Region(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            name = self.path.strip("/")
            self.rfile.read(int(self.headers["Content-Length"]))
            said = items.get(name, "")
            body = BODY.format(
                name=name, items=said or "", header=items.get(f"{name} header", "")
            ).encode()
            self.send_response(500 if said is None else 200)
            self.send_header("Content-Type", "text/xml; charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Region)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def asked(
    programs: OtherPrograms,
    folder: Path,
    time_types: str,
    timeslots: str,
    performers: str | None = "",
    *,
    headers: dict[str, str | None] | None = None,
) -> Iterator[Program]:
    """Return a context with a gateway; its worker has asked the region once."""
    items: dict[str, str | None] = {
        "GetAllTimeTypes": time_types,
        "GetAvailableTimeslots": timeslots,
        "GetAllPerformers": performers,
        **(headers or {}),
    }
    sources = folder / "sources.toml"
    with answering(items) as url:
        sources.write_text(SOURCES.format(url=url), encoding="utf-8")
        with programs.start(sources=sources) as made:
            fill(made)
            yield made


def found(made: Program, query: str) -> tuple[int, int | None, list[Any]]:
    """Return how many matches a search has, its total, and its outcomes' codes."""
    bundle = made.app.test_client().get(f"/fhir/{query}").get_json()
    entries = bundle.get("entry", [])
    return (
        sum(each["search"]["mode"] == "match" for each in entries),
        bundle.get("total"),
        [
            issue["details"]["coding"][0]["code"]
            for each in entries
            if each["search"]["mode"] == "outcome"
            for issue in each["resource"]["issue"]
        ],
    )


IN_PART = ["REGION_ANSWERED_IN_PART"]


@pytest.mark.parametrize(
    ("timeslots", "shown", "reason"),
    [
        pytest.param(
            [slot(8, 0), slot(9, 0)],
            0,
            "malformed: endTimeExclusive: not an end: it is not after the start",
            id="all of no length",
        ),
        pytest.param(
            [slot(8, 0), slot(9)],
            1,
            "malformed: endTimeExclusive: not an end: it is not after the start",
            id="one of no length",
        ),
        pytest.param(
            [slot(8, time_type="5")],
            0,
            "of another time type",
            id="another time type than asked for",
        ),
    ],
)
def test_times_that_could_not_be_kept_are_reported(
    other_programs: OtherPrograms,
    tmp_path: Path,
    timeslots: list[str],
    shown: int,
    reason: str,
) -> None:
    """Slots, services and proposals have an outcome, no total; the status has why."""
    window = f"start=ge{civil_date(now())}"
    with asked(other_programs, tmp_path, TIME_TYPE, "".join(timeslots)) as made:
        searches = [
            found(made, f"Slot?{window}"),
            found(made, f"Slot?{window}&schedule.actor:Location={UNIT}"),
            found(made, f"HealthcareService?location={UNIT}"),
            found(
                made,
                f"Appointment/$find?start={now():%Y-%m-%dT%H:%M:%SZ}"
                "&end=2099-12-31T00:00:00Z&location-reference=Location/" + UNIT,
            ),
        ]
        status = made.store.status(SourceName("norr"))

    assert searches == [
        (shown, None, IN_PART),
        (shown, None, IN_PART),
        (1, None, IN_PART),
        (shown, None, IN_PART),
    ]
    assert status is not None
    assert [each.reason for each in status.losses] == [reason]


def cached(record: str) -> str:
    """Return the header of an aggregating service that answers from its cache."""
    return (
        '<h:ProcessingStatus xmlns:h="urn:riv:interoperability:headers:1">'
        f"<h:ProcessingStatusList><h:logicalAddress>{UNIT}</h:logicalAddress>"
        f"<h:statusCode>DataFromCache</h:statusCode>{record}"
        "</h:ProcessingStatusList></h:ProcessingStatus>"
    )


def synched(text: str) -> str:
    """Return when a cache says that it was last updated."""
    return f"<h:lastSuccessfulSynch>{text}</h:lastSuccessfulSynch>"


@pytest.mark.parametrize(
    ("contract", "header", "reason"),
    [
        pytest.param(
            "GetAvailableTimeslots",
            cached(""),
            "malformed: ProcessingStatus: is from a cache of an unknown age",
            id="times without an age",
        ),
        pytest.param(
            "GetAvailableTimeslots",
            cached(synched("2026-11-01T10:00:00")),
            "malformed: ProcessingStatus: is from a cache of an unknown age",
            id="times with an unreadable age",
        ),
        pytest.param(
            "GetAvailableTimeslots",
            cached(synched("20990101100000")),
            "from a cache that dates them in the future",
            id="times of the future",
        ),
        pytest.param(
            "GetAllTimeTypes",
            cached(synched("20261101100000")),
            "ProcessingStatus: is from a cache",
            id="time types",
        ),
        pytest.param(
            "GetAvailableTimeslots",
            '<v:Part xmlns:v="urn:vendor" s:mustUnderstand="1"/>',
            "malformed: Header: must be understood, and is not",
            id="a header that must be understood",
        ),
    ],
)
def test_answers_that_may_lack_something_are_reported(
    other_programs: OtherPrograms,
    tmp_path: Path,
    contract: str,
    header: str,
    reason: str,
) -> None:
    """A search has an outcome and no total; the status has the reason."""
    headers: dict[str, str | None] = {f"{contract} header": header}
    with asked(other_programs, tmp_path, TIME_TYPE, slot(8), headers=headers) as made:
        search = found(made, f"Slot?start=ge{civil_date(now())}")
        status = made.store.status(SourceName("norr"))

    assert search == (1, None, IN_PART)
    assert status is not None
    assert [each.reason for each in status.losses] == [reason]


def test_a_time_type_without_a_name_is_offered_with_its_times(
    other_programs: OtherPrograms, tmp_path: Path
) -> None:
    """The id serves as the name, and nothing is lost."""
    with asked(other_programs, tmp_path, NAMELESS, slot(8)) as made:
        searches = [
            found(made, f"Slot?start=ge{civil_date(now())}"),
            found(made, f"HealthcareService?location={UNIT}"),
        ]

    assert searches == [(1, 1, []), (1, 1, [])]


STAFF = "SE2321000016-P01"


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        pytest.param("Slot?", (1, 1, []), id="staff do not matter"),
        pytest.param("Slot?_include=Slot:schedule", (1, 1, []), id="schedules"),
        pytest.param(
            "Slot?_include=Slot:schedule"
            "&_include:iterate=Schedule:actor:PractitionerRole",
            (1, None, IN_PART),
            id="staff are shown",
        ),
        pytest.param(
            f"Slot?schedule.actor:Practitioner={STAFF}",
            (0, None, IN_PART),
            id="staff are asked for",
        ),
    ],
)
def test_staff_who_could_not_be_kept_lack_where_staff_matter(
    other_programs: OtherPrograms,
    tmp_path: Path,
    query: str,
    answer: tuple[int, int | None, list[Any]],
) -> None:
    """A search that names staff, or shows them, has an outcome and no total."""
    nobody = "<performerInfos><c:firstName>Anna</c:firstName></performerInfos>"
    with asked(other_programs, tmp_path, TIME_TYPE, slot(8), nobody) as made:
        assert found(made, query) == answer


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        pytest.param("Slot?", (1, 1, []), id="staff do not matter"),
        pytest.param(
            "Slot?_include=Slot:schedule"
            "&_include:iterate=Schedule:actor:PractitionerRole",
            (1, None, ["REGION_IS_UNAVAILABLE"]),
            id="staff are shown",
        ),
        pytest.param(
            f"Slot?schedule.actor:Practitioner={STAFF}",
            (0, None, ["REGION_IS_UNAVAILABLE"]),
            id="staff are asked for",
        ),
    ],
)
def test_a_region_that_does_not_answer_for_staff_is_named_where_staff_matter(
    other_programs: OtherPrograms,
    tmp_path: Path,
    query: str,
    answer: tuple[int, int | None, list[Any]],
) -> None:
    """A search that names staff, or shows them, has an outcome and no total."""
    with asked(other_programs, tmp_path, TIME_TYPE, slot(8), None) as made:
        assert found(made, query) == answer


def test_a_person_without_an_hsa_id_is_a_loss(
    other_programs: OtherPrograms, tmp_path: Path
) -> None:
    """A member of staff with names and an employee number is counted as left out."""
    somebody = (
        "<performerInfos><c:perfomer>12345</c:perfomer><c:firstName>Anna</c:firstName>"
        "<c:lastName>A</c:lastName></performerInfos>"
    )
    with asked(other_programs, tmp_path, TIME_TYPE, slot(8), somebody) as made:
        searched = found(made, f"Slot?schedule.actor:Practitioner={STAFF}")
        status = made.store.status(SourceName("norr"))

    assert searched == (0, None, IN_PART)
    assert status is not None
    assert [each.reason for each in status.losses] == [
        "performerInfos[1]/perfomer: not an HSA-id"
    ]
