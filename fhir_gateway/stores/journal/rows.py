"""
Conversion between the journal's rows and its value types.
"""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import Row

from fhir_gateway.model.booking import (
    BookingPermissions,
    BookingStatus,
    CancellationReason,
)
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    HsaId,
    PerformerId,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.interaction import Actor, ActorType
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.timekeeping import epoch_seconds
from fhir_gateway.model.timeslot import Schedule, Timeslot
from fhir_gateway.stores.journal.records import (
    Alarm,
    BookingRecord,
    BookingState,
    WriteIntent,
    WriteKind,
    WriteState,
)
from fhir_gateway.stores.journal.tables import NOT_DONE, VOID
from fhir_gateway.stores.sealing import Seal

__all__ = [
    "BOOKING_ID",
    "CLIENT",
    "ENGAGEMENT",
    "NUMBER",
    "Values",
    "booking_id_from_row",
    "document_from_schedule",
    "document_from_timeslot",
    "intent_from_row",
    "invitation_from_row",
    "record_from_row",
    "sealed_actor",
    "sealed_reason",
    "sealed_text",
    "timeslot_from_document",
    "values_from_booking_id",
    "values_from_maker",
    "values_from_permissions",
    "values_from_state",
    "values_from_subject",
    "values_from_timeslot",
]

# Values of columns, by name.
Values = dict[str, Any]

# The personal number's field in a sealed subject, and the purpose of its hash.
NUMBER: Final = "number"

# The field of a sealed booking id, and the purpose of its hash.
BOOKING_ID: Final = "booking_id"

# The field of a sealed post of the engagement index with its key, and the purpose of
# the hash of it.
ENGAGEMENT: Final = "engagement"

# The purpose of the hash of what shares limits.
CLIENT: Final = "client"

_OPTIONAL_TYPES: Final = {
    "performer": PerformerId,
    "performer_name": str,
    "resource_id": ResourceId,
    "resource_name": str,
    "care_type_id": CareTypeId,
    "care_type_name": str,
}


def record_from_row(row: Row[Any], seal: Seal) -> BookingRecord:
    """
    Return the booking of a row of the table `booking`.

    Raises:
        SealBroken: None of this server's keys opens it.
    """
    fields = seal.unseal(row.subject_sealed)
    # Of a booking made elsewhere, regions give only the resident's number.
    subject = SubjectOfCare.from_mapping(fields) if "first_name" in fields else None
    return BookingRecord(
        id=row.id,
        version=row.version,
        state=_booking_state(row),
        source=SourceName(row.source),
        timeslot=timeslot_from_document(row.timeslot),
        booking_id=booking_id_from_row(row, seal),
        number=PersonalIdentityNumber(fields[NUMBER]),
        subject=subject,
        permissions=BookingPermissions(
            cancel=row.may_cancel, rebook=row.may_rebook, message=row.may_message
        ),
        is_invitation=row.is_invitation,
        message=_text(row.message_sealed, seal),
        created_at=_instant(row.created_at),
        updated_at=_instant(row.updated_at),
        confirmed_at=_instant_or_none(row.confirmed_at),
        cancellation=(
            None
            if row.cancellation_sealed is None
            else CancellationReason(**seal.unseal(row.cancellation_sealed))
        ),
        maker=(
            None
            if row.maker_sealed is None
            else seal.unseal(row.maker_sealed)["principal"]
        ),
        actor=_actor(row.actor_sealed, seal),
    )


def intent_from_row(row: Row[Any] | SimpleNamespace, seal: Seal) -> WriteIntent:
    """
    Return the write intent of a row with the columns of `queries.INTENT`.

    Raises:
        SealBroken: None of this server's keys opens it.
    """
    return WriteIntent(
        id=row.id,
        booking=row.booking,
        kind=WriteKind(row.kind),
        state=_write_state(row),
        fence=row.fence,
        timeslot=(
            None if row.timeslot is None else timeslot_from_document(row.timeslot)
        ),
        sent_at=_instant_or_none(row.sent_at),
        attempts=row.attempts,
        held_until=_instant_or_none(row.held_until),
        is_lapsed=bool(row.is_lapsed),
        unchanged_at=_instant_or_none(row.unchanged_at),
        yes_at=_instant_or_none(row.yes_at),
        alarm=None if row.alarm is None else Alarm(row.alarm),
        message=_text(row.message_sealed, seal),
    )


def invitation_from_row(row: Row[Any], seal: Seal) -> OpenInvitation:
    """
    Return the invitation of a row with the columns of `queries.OPEN_INVITATION`.

    Raises:
        SealBroken: None of this server's keys opens it.
    """
    return OpenInvitation(
        id=row.id,
        version=row.shown_version,
        status=(
            BookingStatus.PROPOSED
            if row.withdrawn_at is None
            else BookingStatus.CANCELLED
        ),
        source=SourceName(row.source),
        schedule=_schedule_from_document(row.schedule),
        booking_id=BookingId(seal.unseal(row.booking_id_sealed)[BOOKING_ID]),
        number=PersonalIdentityNumber(seal.unseal(row.subject_sealed)[NUMBER]),
        permissions=BookingPermissions(
            cancel=row.may_cancel, rebook=row.may_rebook, message=row.may_message
        ),
        created_at=_instant(row.created_at),
        updated_at=_instant(row.shown_updated_at),
        confirmed_at=_instant(row.confirmed_at),
    )


def booking_id_from_row(row: Row[Any], seal: Seal) -> BookingId | None:
    """
    Return the region's id of a booking, where it is known.

    Raises:
        SealBroken: None of this server's keys opens it.
    """
    if row.booking_id is not None:
        return BookingId(row.booking_id)
    if row.booking_id_sealed is None:
        return None
    return BookingId(seal.unseal(row.booking_id_sealed)[BOOKING_ID])


def values_from_booking_id(booking_id: BookingId | None, seal: Seal) -> Values:
    """Return the columns of a region's id, hashed and sealed."""
    if booking_id is None:
        return {"booking_id": None, "booking_id_sealed": None, "booking_id_hmac": None}
    return {
        "booking_id": None,
        "booking_id_sealed": seal.seal({BOOKING_ID: booking_id}),
        "booking_id_hmac": seal.lookup(BOOKING_ID, booking_id),
    }


def values_from_subject(fields: dict[str, str], seal: Seal) -> Values:
    """Return the columns of a booking's resident, hashed and sealed."""
    return {
        "subject_hmac": seal.lookup(NUMBER, fields[NUMBER]),
        "subject_sealed": seal.seal(fields),
    }


def values_from_maker(grant: Grant, seal: Seal) -> Values:
    """Return the columns of who makes a booking, hashed and sealed."""
    principal = grant.principal
    return {
        "maker_sealed": seal.seal(
            {"principal": principal.key, CLIENT: principal.limited_as}
        ),
        "client_hmac": seal.lookup(CLIENT, principal.limited_as),
        "actor_sealed": sealed_actor(grant, seal),
    }


def sealed_actor(grant: Grant, seal: Seal) -> str | None:
    """Return who asks for a write, sealed; None for the resident."""
    actor = grant.actor
    if actor.type is ActorType.SUBJECT_OF_CARE:
        return None
    on_behalf_of = {} if actor.on_behalf_of is None else {"for": actor.on_behalf_of}
    return seal.seal({"id": actor.id, **on_behalf_of})


def values_from_permissions(permissions: BookingPermissions) -> Values:
    """Return the columns of a booking's permissions."""
    return {
        "may_cancel": permissions.cancel,
        "may_rebook": permissions.rebook,
        "may_message": permissions.message,
    }


def values_from_state(state: BookingState) -> Values:
    """Return the columns of a booking's state."""
    if state.is_void:
        return {"state": VOID, "ending": state.value}
    return {"state": state.value, "ending": None}


def values_from_timeslot(timeslot: Timeslot) -> Values:
    """Return the columns of a booking's timeslot."""
    return {
        "unit": timeslot.schedule.unit,
        "token": timeslot.token,
        "timeslot": document_from_timeslot(timeslot),
        "starts_at": epoch_seconds(timeslot.start),
        "ends_at": epoch_seconds(timeslot.end),
    }


def sealed_text(text: str | None, seal: Seal) -> str | None:
    """Return a region's text, sealed."""
    return None if text is None else seal.seal({"text": text})


def sealed_reason(reason: CancellationReason | None, seal: Seal) -> str | None:
    """Return the reason of a cancellation, sealed."""
    if reason is None:
        return None
    return seal.seal({"text": reason.text, "stated": reason.stated})


def document_from_timeslot(timeslot: Timeslot) -> Values:
    """
    Return a timeslot as JSON, without its count and its source's id of the free time.

    Some sources give the booking the same id, and who books a free time has just read
    it.
    """
    return {
        **document_from_schedule(timeslot.schedule),
        "start": epoch_seconds(timeslot.start),
        "end": epoch_seconds(timeslot.end),
    }


def document_from_schedule(schedule: Schedule) -> Values:
    """Return a schedule as JSON."""
    document: Values = {
        "unit": schedule.unit,
        "time_type_id": schedule.time_type_id,
        "time_type_name": schedule.time_type_name,
    }
    for name in _OPTIONAL_TYPES:
        value = getattr(schedule, name)
        if value is not None:
            document[name] = value
    return document


def timeslot_from_document(document: Values) -> Timeslot:
    """Return the timeslot of a document of `document_from_timeslot`."""
    return Timeslot(
        schedule=_schedule_from_document(document),
        # In UTC, as a source's answer is read: Swedish times in the repeated hour of
        # autumn would not compare as equal.
        start=_instant(document["start"]),
        end=_instant(document["end"]),
    )


def _schedule_from_document(document: Values) -> Schedule:
    return Schedule(
        unit=HsaId(document["unit"]),
        time_type_id=TimeTypeId(document["time_type_id"]),
        time_type_name=document["time_type_name"],
        **{
            name: of_type(document[name])
            for name, of_type in _OPTIONAL_TYPES.items()
            if name in document
        },
    )


def _booking_state(row: Row[Any]) -> BookingState:
    if row.state != VOID:
        return BookingState(row.state)
    # The previous release does not say why; in every case no booking was made.
    return BookingState.NOT_MADE if row.ending is None else BookingState(row.ending)


def _write_state(row: Row[Any] | SimpleNamespace) -> WriteState:
    if row.state != NOT_DONE:
        return WriteState(row.state)
    return WriteState.NOT_DONE if row.unchanged_at is None else WriteState.LEFT_NO_TRACE


def _actor(sealed: str | None, seal: Seal) -> Actor | None:
    if sealed is None:
        return None
    fields = seal.unseal(sealed)
    on_behalf_of = fields.get("for")
    return Actor.agent(
        HsaId(fields["id"]),
        on_behalf_of=None if on_behalf_of is None else HsaId(on_behalf_of),
    )


def _text(sealed: str | None, seal: Seal) -> str | None:
    return None if sealed is None else seal.unseal(sealed)["text"]


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _instant_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else _instant(seconds)
