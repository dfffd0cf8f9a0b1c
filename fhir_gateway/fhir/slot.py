"""
Slot and Schedule (FHIR R4, 12.10 and 12.9) from timeslots.
"""

from datetime import datetime
from enum import Enum
from typing import Any

from fhir_gateway.fhir.practitioner import practitioner_role_id
from fhir_gateway.fhir.service_type import service_type_from_time_type
from fhir_gateway.fhir.vocabulary import (
    LAST_SOURCE_SYNC,
    SLOT_CAPACITY,
    Vocabulary,
)
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timekeeping import instant_text
from fhir_gateway.model.timeslot import Schedule, Timeslot, TimeType, time_type_token

__all__ = [
    "SlotStatus",
    "meta_of_source",
    "schedule_from_schedule",
    "shown_name",
    "slot_from_timeslot",
]


class SlotStatus(Enum):
    """SlotStatus (FHIR R4)."""

    FREE = "free"
    BUSY = "busy"
    BUSY_TENTATIVE = "busy-tentative"
    BUSY_UNAVAILABLE = "busy-unavailable"
    ENTERED_IN_ERROR = "entered-in-error"


def meta_of_source(
    source: SourceName,
    vocabulary: Vocabulary,
    profile: str,
    *,
    answered_at: datetime | None = None,
) -> dict[str, Any]:
    """Return `meta`: a resource's source, and when that last answered."""
    meta: dict[str, Any] = {}
    if answered_at is not None:
        meta["extension"] = [
            {"url": LAST_SOURCE_SYNC, "valueDateTime": instant_text(answered_at)}
        ]
    meta["source"] = vocabulary.source(source)
    meta["profile"] = [vocabulary.profile(profile)]
    return meta


def slot_from_timeslot(
    timeslot: Timeslot,
    time_type: TimeType,
    *,
    source: SourceName,
    answered_at: datetime | None,
    vocabulary: Vocabulary,
    status: SlotStatus = SlotStatus.FREE,
) -> dict[str, Any]:
    """Return a Slot."""
    schedule = timeslot.schedule
    slot: dict[str, Any] = {
        "resourceType": "Slot",
        "id": timeslot.token,
        "meta": meta_of_source(source, vocabulary, "slot", answered_at=answered_at),
    }
    if timeslot.count > 1:
        slot["extension"] = [{"url": SLOT_CAPACITY, "valueInteger": timeslot.count}]
    slot["serviceType"] = [
        service_type_from_time_type(time_type, schedule.unit, vocabulary)
    ]
    slot["schedule"] = {"reference": f"Schedule/{schedule.token}"}
    slot["status"] = status.value
    slot["start"] = instant_text(timeslot.start)
    slot["end"] = instant_text(timeslot.end)
    return slot


def schedule_from_schedule(
    schedule: Schedule,
    time_type: TimeType,
    *,
    unit_name: str,
    source: SourceName,
    answered_at: datetime | None,
    vocabulary: Vocabulary,
) -> dict[str, Any]:
    """Return a Schedule; its actors are the unit, its service and the performer."""
    return {
        "resourceType": "Schedule",
        "id": schedule.token,
        "meta": meta_of_source(source, vocabulary, "schedule", answered_at=answered_at),
        "active": True,
        "serviceType": [
            service_type_from_time_type(time_type, schedule.unit, vocabulary)
        ],
        "actor": [
            {
                "reference": (
                    "HealthcareService/"
                    f"{time_type_token(schedule.unit, schedule.time_type_id)}"
                ),
                "display": time_type.name,
            },
            {"reference": f"Location/{schedule.unit}", "display": unit_name},
            *_staff(schedule),
        ],
    }


def shown_name(schedule: Schedule) -> str | None:
    """Return the name of a schedule's performer or resource for clients."""
    # At some producers a resource's code may be a person's number, so clients see only
    # its name; the order of names is that of 1177.
    return (
        schedule.performer_name
        or schedule.resource_name
        or schedule.care_type_name
        or None
    )


def _staff(schedule: Schedule) -> list[dict[str, str]]:
    name = shown_name(schedule)
    display = {"display": name} if name else {}
    practitioner = schedule.practitioner
    if practitioner is None:
        return [display] if display else []
    role = practitioner_role_id(schedule.unit, practitioner)
    return [
        {"reference": f"PractitionerRole/{role}", **display},
        {"reference": f"Practitioner/{practitioner}", **display},
    ]
