"""
Slot and Schedule from timeslots.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_gateway.fhir.slot import (
    SlotStatus,
    schedule_from_schedule,
    slot_from_timeslot,
)
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import (
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.timeslot import (
    Schedule,
    StandardTimeType,
    Timeslot,
    TimeType,
)

_OURS = Vocabulary("https://ours.example")
_NORR = SourceName("norr")
_ANSWERED_AT = datetime(2026, 6, 1, 6, 5, tzinfo=UTC)
_START = datetime(2026, 6, 8, 8, 0, tzinfo=UTC)
_SCHEDULE = Schedule(
    unit=HsaId("SE2321000016-A01"),
    time_type_id=TimeTypeId("TT1"),
    time_type_name="Covid-vaccination",
    performer=PerformerId("SE2321000016-P1"),
    performer_name="Sjuksköterska Anna Provberg",
)
_TIMESLOT = Timeslot(
    schedule=_SCHEDULE, start=_START, end=_START + timedelta(minutes=15)
)
_TIME_TYPE = TimeType(
    id=TimeTypeId("TT1"),
    name="Covid-vaccination",
    standard=(StandardTimeType(code="72791000052103", display="vaccination"),),
)
_SERVICE_TYPE = {
    "coding": [
        {
            "system": "http://snomed.info/sct",
            "version": "http://snomed.info/sct/45991000052106",
            "code": "72791000052103",
            "display": "vaccination",
        },
        {
            "system": "https://ours.example/CodeSystem/time-types-SE2321000016-A01",
            "code": "TT1",
            "display": "Covid-vaccination",
        },
    ],
    "text": "Covid-vaccination",
}


def slot(timeslot: Timeslot = _TIMESLOT, **changes: Any) -> dict[str, Any]:
    """Return the Slot of a timeslot."""
    return slot_from_timeslot(
        timeslot,
        **{
            "time_type": _TIME_TYPE,
            "source": _NORR,
            "answered_at": _ANSWERED_AT,
            "vocabulary": _OURS,
            **changes,
        },
    )


def schedule(of: Schedule = _SCHEDULE) -> dict[str, Any]:
    """Return the Schedule of a schedule."""
    return schedule_from_schedule(
        of,
        _TIME_TYPE,
        unit_name="Vårdcentralen",
        source=_NORR,
        answered_at=_ANSWERED_AT,
        vocabulary=_OURS,
    )


def test_a_timeslot_is_a_slot() -> None:
    """A slot shows its time, its service, its source and its age."""
    assert slot() == {
        "resourceType": "Slot",
        "id": _TIMESLOT.token,
        "meta": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/lastSourceSync",
                    "valueDateTime": "2026-06-01T08:05:00+02:00",
                }
            ],
            "source": "https://ours.example/source/norr",
            "profile": ["https://ours.example/StructureDefinition/slot"],
        },
        "serviceType": [_SERVICE_TYPE],
        "schedule": {"reference": f"Schedule/{_SCHEDULE.token}"},
        "status": "free",
        "start": "2026-06-08T10:00:00+02:00",
        "end": "2026-06-08T10:15:00+02:00",
    }


def test_a_time_with_several_places_has_a_capacity() -> None:
    """A time that is listed three times is one slot with the capacity three."""
    assert slot(replace(_TIMESLOT, count=3)) == slot() | {
        "extension": [
            {
                "url": (
                    "http://fhir-registry.smarthealthit.org/StructureDefinition/"
                    "slot-capacity"
                ),
                "valueInteger": 3,
            }
        ]
    }


def test_a_slot_of_unknown_age_has_no_sync() -> None:
    """When nobody knows when the source answered, nothing is said of it."""
    meta = slot()["meta"]
    del meta["extension"]

    assert slot(answered_at=None) == slot() | {"meta": meta}


@pytest.mark.parametrize("status", SlotStatus)
def test_a_slot_has_the_status_it_is_given(status: SlotStatus) -> None:
    """A slot that is read can be taken meanwhile, and says so."""
    assert slot(status=status) == slot() | {"status": status.value}


def test_an_unmapped_time_type_has_the_units_coding_alone() -> None:
    """A time type without a shared meaning is coded in the unit's own words."""
    unmapped = replace(_TIME_TYPE, standard=())
    service_type = _SERVICE_TYPE | {"coding": _SERVICE_TYPE["coding"][1:]}

    assert slot(time_type=unmapped) == slot() | {"serviceType": [service_type]}


@pytest.mark.parametrize(
    ("start", "texts"),
    [
        pytest.param(
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),
            id="over the hour that autumn has twice",
        ),
        pytest.param(
            datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
            ("2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"),
            id="over the hour that spring leaves out",
        ),
        pytest.param(
            datetime(2026, 12, 31, 22, 30, tzinfo=UTC),
            ("2026-12-31T23:30:00+01:00", "2027-01-01T00:30:00+01:00"),
            id="over the new year",
        ),
    ],
)
def test_an_hour_keeps_its_offsets(start: datetime, texts: tuple[str, str]) -> None:
    """A slot over a change of clocks says both of its times with their offsets."""
    timeslot = replace(_TIMESLOT, start=start, end=start + timedelta(hours=1))

    rendered = slot(timeslot)
    assert (rendered["start"], rendered["end"]) == texts


def test_a_schedule_names_its_performer() -> None:
    """A schedule's actors are the service, the unit, the role and the person."""
    name = {"display": "Sjuksköterska Anna Provberg"}

    assert schedule() == {
        "resourceType": "Schedule",
        "id": _SCHEDULE.token,
        "meta": slot()["meta"]
        | {"profile": ["https://ours.example/StructureDefinition/schedule"]},
        "active": True,
        "serviceType": [_SERVICE_TYPE],
        "actor": [
            {
                "reference": (
                    f"HealthcareService/{_SCHEDULE.token.rpartition('.')[0]}"
                ),
                "display": "Covid-vaccination",
            },
            {
                "reference": "Location/SE2321000016-A01",
                "display": "Vårdcentralen",
            },
            {"reference": "PractitionerRole/SE2321000016-A01.pee3dqh1", **name},
            {"reference": "Practitioner/SE2321000016-P1", **name},
        ],
    }


@pytest.mark.parametrize(
    ("changes", "staff"),
    [
        pytest.param({}, [], id="nobody"),
        pytest.param(
            {"performer_name": "Sköterska"}, [{"display": "Sköterska"}], id="a name"
        ),
        pytest.param(
            {
                "resource_id": ResourceId("R1"),
                "resource_name": "Rum 1",
                "care_type_name": "Vaccination",
            },
            [{"display": "Rum 1"}],
            id="a room, before its care type",
        ),
        pytest.param(
            {"care_type_id": CareTypeId("V"), "care_type_name": "Vaccination"},
            [{"display": "Vaccination"}],
            id="a care type",
        ),
        pytest.param(
            {"resource_id": ResourceId("191212121212")}, [], id="a code without a name"
        ),
    ],
)
def test_a_resources_code_is_never_shown(
    changes: dict[str, Any], staff: list[dict[str, str]]
) -> None:
    """Without a person's HSA-id only a name is shown, and never a resource's code."""
    unstaffed = replace(_SCHEDULE, performer=None, performer_name=None)

    assert schedule(replace(unstaffed, **changes))["actor"][2:] == staff


def test_a_nameless_performer_is_referred_to_all_the_same() -> None:
    """A performer without a name is two references without a display."""
    nameless = replace(_SCHEDULE, performer_name=None)

    assert schedule(nameless)["actor"][2:] == [
        {"reference": "PractitionerRole/SE2321000016-A01.pee3dqh1"},
        {"reference": "Practitioner/SE2321000016-P1"},
    ]


@pytest.mark.parametrize(
    ("performer", "name", "actors"),
    [
        pytest.param("1001", "Dr Ett", [{"display": "Dr Ett"}], id="no HSA-id"),
        pytest.param("1001", None, [], id="no HSA-id and no name"),
        pytest.param(
            "se2321000016-p1",
            None,
            [
                {"reference": "PractitionerRole/SE2321000016-A01.pee3dqh1"},
                {"reference": "Practitioner/SE2321000016-P1"},
            ],
            id="an HSA-id in lower case",
        ),
    ],
)
def test_a_performer_is_shown_where_it_is_an_hsa_id(
    performer: str, name: str | None, actors: list[dict[str, str]]
) -> None:
    """A source's own number of somebody is never shown, only the name."""
    schedule = replace(_SCHEDULE, performer=PerformerId(performer), performer_name=name)

    shown = schedule_from_schedule(
        schedule,
        _TIME_TYPE,
        unit_name="Mottagningen",
        source=_NORR,
        answered_at=None,
        vocabulary=_OURS,
    )

    assert shown["actor"][2:] == actors
