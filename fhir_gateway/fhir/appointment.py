"""
Appointment (FHIR R4, 12.8) from a booking.
"""

import json
from datetime import datetime
from typing import Any, Final

from fhir_gateway.fhir.narrative import narrative_from_text
from fhir_gateway.fhir.outcome import Issue, Severity, operation_outcome
from fhir_gateway.fhir.service_type import service_type_from_time_type
from fhir_gateway.fhir.slot import meta_of_source
from fhir_gateway.fhir.vocabulary import (
    HSA_ID,
    PERSON_NUMBER_SYSTEMS,
    Vocabulary,
)
from fhir_gateway.model.booking import (
    BookingPermissions,
    BookingStatus,
    ManagedBooking,
)
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.formatted_text import FormattedText
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import instant_text, readable_time_text
from fhir_gateway.model.timeslot import (
    NO_TIME_TYPE,
    Schedule,
    Timeslot,
    TimeType,
    time_type_token,
)

__all__ = [
    "MESSAGE_ID",
    "appointment_from_booking",
    "booking_issues",
    "extensions_of_permissions",
    "instruction",
    "offering_actors",
    "patient_actor",
    "proposed_appointment",
]

MESSAGE_ID: Final = "region-message"
"""The id of the contained OperationOutcome with the texts for the resident."""

_PARTICIPANT_STATUS: Final = {
    BookingStatus.PROPOSED: "needs-action",
    BookingStatus.PENDING: "needs-action",
    BookingStatus.BOOKED: "accepted",
    # Nobody has declined: the cancellation is in the appointment's own status.
    BookingStatus.CANCELLED: "accepted",
}


def appointment_from_booking(
    booking: ManagedBooking,
    time_type: TimeType,
    *,
    unit_name: str,
    vocabulary: Vocabulary,
    is_offered: bool = True,
    is_listed: bool = True,
) -> dict[str, Any]:
    """
    Return an Appointment.

    Args:
        booking: The booking.
        time_type: Its time type.
        unit_name: The unit's name for people.
        vocabulary: Our canonicals.
        is_offered: Whether its time type can be booked again: otherwise there is no
            HealthcareService to refer to.
        is_listed: Whether its schedule has known free times: otherwise there is no Slot
            to refer to.

    The region's own text, which a client must show, is in `patientInstruction` and in a
    contained OperationOutcome. A narrative stands in `text` where the unit gave its own
    text a form.
    """
    schedule = booking.timeslot.schedule
    meta = meta_of_source(
        booking.source, vocabulary, "appointment", answered_at=booking.confirmed_at
    )
    appointment: dict[str, Any] = {
        "resourceType": "Appointment",
        "id": booking.id,
        "meta": {
            **({"extension": meta["extension"]} if "extension" in meta else {}),
            "versionId": str(booking.version),
            "lastUpdated": instant_text(booking.updated_at),
            "source": meta["source"],
            "profile": meta["profile"],
        },
    }
    if isinstance(booking.purpose, FormattedText):
        narrative = narrative_from_text(
            _essence(booking, time_type, unit_name), booking.message, booking.purpose
        )
        if narrative is not None:
            appointment["text"] = narrative
    issues = booking_issues(booking)
    if issues:
        appointment["contained"] = [{**operation_outcome(issues), "id": MESSAGE_ID}]
    appointment["extension"] = _extensions(booking, vocabulary)
    if booking.booking_id is not None:
        appointment["identifier"] = [
            {
                "system": vocabulary.booking_ids(schedule.unit),
                "value": str(booking.booking_id),
            }
        ]
    appointment["status"] = booking.status.value
    if booking.cancellation is not None:
        appointment["cancelationReason"] = json.loads(booking.cancellation.stated)
    if schedule.time_type_id != NO_TIME_TYPE:
        appointment["serviceType"] = [
            service_type_from_time_type(time_type, schedule.unit, vocabulary)
        ]
    appointment["start"] = instant_text(booking.timeslot.start)
    appointment["end"] = instant_text(booking.timeslot.end)
    if is_listed:
        appointment["slot"] = [{"reference": f"Slot/{booking.timeslot.token}"}]
    appointment["created"] = instant_text(booking.created_at)
    if booking.reason:
        appointment["comment"] = booking.reason
    text = instruction(booking)
    if text:
        appointment["patientInstruction"] = text
    appointment["participant"] = _participants(
        booking, time_type, unit_name, is_offered=is_offered
    )
    return appointment


def _essence(booking: ManagedBooking, time_type: TimeType, unit_name: str) -> str:
    """Return what is booked, where and when: each narrative has it (R4, 2.4.0)."""
    start, end = booking.timeslot.start, booking.timeslot.end
    until = readable_time_text(end).removeprefix(readable_time_text(start)[:11])
    when = f"{readable_time_text(start)} - {until}"
    return f"{time_type.name}, {unit_name}, {when} ({booking.status.value})"


def instruction(booking: ManagedBooking) -> str | None:
    """
    Return the text to show to the resident: the region's message, then the unit's.
    """
    texts = [text for text in (booking.message, booking.purpose) if text]
    return "\n\n".join(texts) or None


def booking_issues(booking: ManagedBooking) -> list[Issue]:
    """Return the issues to report with a booking."""
    issues = []
    if booking.message:
        issues.append(
            Issue(
                severity=Severity.INFORMATION,
                code="informational",
                error_code=ErrorCode.REGION_MESSAGE,
                text=booking.message,
            )
        )
    if booking.is_offered_again is False:
        issues.append(
            Issue(
                severity=Severity.INFORMATION,
                code="informational",
                error_code=ErrorCode.SLOT_IS_NOT_OFFERED_AGAIN,
                diagnostics=(
                    "The appointment is cancelled; its region does not list the slot as"
                    " free just now."
                ),
            )
        )
    return issues


def extensions_of_permissions(
    permissions: BookingPermissions, vocabulary: Vocabulary, *, is_invitation: bool
) -> list[dict[str, Any]]:
    """Return what the region permits, and whether the unit has invited."""
    return [
        {
            "extension": [
                {
                    "url": "cancelBookingAllowed",
                    "valueBoolean": permissions.cancel,
                },
                {"url": "rebookingAllowed", "valueBoolean": permissions.rebook},
                {"url": "messageAllowed", "valueBoolean": permissions.message},
            ],
            "url": vocabulary.profile("booking-permissions"),
        },
        {
            "url": vocabulary.profile("is-invitation"),
            "valueBoolean": is_invitation,
        },
    ]


def _extensions(
    booking: ManagedBooking, vocabulary: Vocabulary
) -> list[dict[str, Any]]:
    extensions = extensions_of_permissions(
        booking.permissions, vocabulary, is_invitation=booking.is_invitation
    )
    if booking.held_until is not None:
        extensions.append(
            {
                "extension": [
                    {
                        "url": "held-until",
                        "valueDateTime": instant_text(booking.held_until),
                    },
                    # No region has holds.
                    {"url": "binds", "valueCode": "clients-of-this-server"},
                ],
                "url": vocabulary.profile("hold"),
            }
        )
    if booking.cancelled_by is not None:
        extensions.append(
            {
                "url": vocabulary.profile("cancelled-by"),
                "valueCode": booking.cancelled_by.value,
            }
        )
    if booking_issues(booking):
        extensions.append(
            {
                "url": vocabulary.profile("region-message"),
                "valueReference": {"reference": f"#{MESSAGE_ID}"},
            }
        )
    return extensions


def proposed_appointment(
    timeslot: Timeslot,
    time_type: TimeType,
    *,
    unit_name: str,
    source: SourceName,
    answered_at: datetime | None,
    vocabulary: Vocabulary,
) -> dict[str, Any]:
    """
    Return a free time as a proposed Appointment, as `$find` answers.

    Its id is the slot's id: an operation on it is about that slot.
    """
    schedule = timeslot.schedule
    return {
        "resourceType": "Appointment",
        "id": timeslot.token,
        "meta": meta_of_source(
            source, vocabulary, "proposed-appointment", answered_at=answered_at
        ),
        "status": "proposed",
        "serviceType": [
            service_type_from_time_type(time_type, schedule.unit, vocabulary)
        ],
        "start": instant_text(timeslot.start),
        "end": instant_text(timeslot.end),
        "slot": [{"reference": f"Slot/{timeslot.token}"}],
        "participant": [
            {"actor": actor, "status": "needs-action"}
            for actor in offering_actors(
                schedule, time_type, unit_name, is_offered=True
            )
        ],
    }


def _participants(
    booking: ManagedBooking, time_type: TimeType, unit_name: str, *, is_offered: bool
) -> list[dict[str, Any]]:
    status = _PARTICIPANT_STATUS[booking.status]
    patient = patient_actor(booking.number)
    offering = offering_actors(
        booking.timeslot.schedule, time_type, unit_name, is_offered=is_offered
    )
    return [{"actor": actor, "status": status} for actor in (patient, *offering)]


def patient_actor(number: PersonalIdentityNumber) -> dict[str, Any]:
    """Return the resident as an actor, by the number: no Patient can be read here."""
    return {
        "type": "Patient",
        "identifier": {
            "system": PERSON_NUMBER_SYSTEMS[number.kind],
            "value": number.reveal(),
        },
    }


def offering_actors(
    schedule: Schedule, time_type: TimeType, unit_name: str, *, is_offered: bool
) -> list[dict[str, Any]]:
    """Return the actors beside the patient: the unit, its service, its staff."""
    actors: list[dict[str, Any]] = [
        {"reference": f"Location/{schedule.unit}", "display": unit_name},
    ]
    if is_offered:
        token = time_type_token(schedule.unit, schedule.time_type_id)
        actors.append(
            {"reference": f"HealthcareService/{token}", "display": time_type.name}
        )
    name = schedule.performer_name or schedule.resource_name
    practitioner = schedule.practitioner
    if practitioner is not None:
        actors.append(
            {
                # Not a reference: no Practitioner can be read for staff without free
                # times.
                "type": "Practitioner",
                "identifier": {"system": HSA_ID, "value": str(practitioner)},
                **({"display": name} if name else {}),
            }
        )
    elif name:
        actors.append({"display": name})
    return actors
