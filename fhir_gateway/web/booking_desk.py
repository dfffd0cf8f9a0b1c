"""
What a request about an appointment comes to, whatever carries it.

Create, update, patch and each operation end here, so that they all do the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from fhir_gateway.fhir.appointment import appointment_from_booking
from fhir_gateway.fhir.appointment_change import renamings, undoable_changes
from fhir_gateway.fhir.appointment_request import BOOKABLE, AppointmentRequest
from fhir_gateway.fhir.free_text import COMMENT
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.service_type import (
    foreign_service_types,
    service_type_from_time_type,
)
from fhir_gateway.fhir.slot_participant import foreign_participants
from fhir_gateway.model.booking import (
    BookingStatus,
    CancellationReason,
    ManagedBooking,
)
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import Conflict, Stale
from fhir_gateway.model.timekeeping import now
from fhir_gateway.model.timeslot import (
    Schedule,
    TimeslotToken,
    TimeType,
    time_type_token,
)
from fhir_gateway.services.booking.holding import HoldRequest
from fhir_gateway.services.booking.request import (
    BookedTimeslot,
    BookingRequest,
    MoveRequest,
)
from fhir_gateway.web.gateway import Gateway

__all__ = ["BookingDesk", "Change"]

_JUST_NOW: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Change:
    """
    What is to become of an appointment.

    Attributes:
        wanted: How it is to be.
        sent: The Appointment that the client sent of it, or patched; empty when it
            sent none.
        exact: It was patched, so that what it lacks was taken away.
        by_operation: What is called says what to do, and the status says no more.
    """

    wanted: AppointmentRequest
    sent: Mapping[str, Any]
    exact: bool = False
    by_operation: bool = False

    @property
    def leaves_slot(self) -> bool:
        """Return whether the slot need not be named: it is not what is changed."""
        return self.exact or self.by_operation or self.wanted.status == "cancelled"


class BookingDesk:
    """
    Books, moves and cancels what clients ask for in FHIR's words.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def read(self, identifier: str) -> ManagedBooking:
        """
        Return a booking as it stands now.

        Raises:
            NotFound: There is none of that id.
        """
        return self._gateway.booking.read(identifier)

    def book(
        self, wanted: AppointmentRequest, request: RequestKey | None = None
    ) -> BookedTimeslot:
        """
        Book what a request, which was read to book, wants.

        Args:
            wanted: What it says.
            request: What the client calls it.

        Raises:
            GatewayError: As `BookingService.book`.
        """
        if wanted.token is None or wanted.subject is None:
            raise TypeError("the request was not read to book")
        return self._gateway.booking.book(
            BookingRequest(
                token=wanted.token,
                subject=wanted.subject,
                reason=wanted.comment,
                request=request,
            )
        )

    def change(
        self,
        present: ManagedBooking,
        change: Change,
        version: int | None,
        request: RequestKey | None = None,
    ) -> ManagedBooking:
        """
        Move an appointment (another slot) or cancel it (status cancelled).

        Args:
            present: How it stands, read just now.
            change: What is to become of it.
            version: What the client believes it changes; None changes any.
            request: What the client calls this request.

        Raises:
            Problem: 422 for any other change, with an issue for each.
            GatewayError: As `BookingService.move` and `cancel`.
        """
        wanted = change.wanted
        _check_same_person(present, wanted)
        cancels = wanted.status == "cancelled"
        is_done = cancels and present.status is BookingStatus.CANCELLED
        if version not in (None, present.version) and not is_done:
            raise Stale("The appointment has changed since you read it; read it again.")
        if cancels:
            _check_own_slot(present, wanted)
        self._check_can_be_done(present, change)
        if cancels:
            booking = self._gateway.booking.cancel(
                present.id,
                reason=wanted.cancellation,
                version=version,
                request=request,
            )
        else:
            booking = self._move(present, wanted, version, request)
        return booking

    def check_unchanged(self, present: ManagedBooking, change: Change) -> None:
        """
        Check that what was sent of a booking, which is to stay as it is, says no more.

        Raises:
            Problem: 422, with an issue for each change.
            Conflict: It names another slot.
        """
        _check_same_person(present, change.wanted)
        _check_own_slot(present, change.wanted)
        self._check_can_be_done(present, change)

    def _check_can_be_done(self, present: ManagedBooking, change: Change) -> None:
        wanted = change.wanted
        moves = wanted.token is not None and (
            wanted.token.text != present.timeslot.token
        )
        issues: list[Issue] = []
        if moves and wanted.comment != present.reason:
            COMMENT.read(wanted.comment, "Appointment.comment", issues.append)
        if not _may_become(present, change, moves=moves):
            issues.append(
                Issue(
                    code="not-supported",
                    diagnostics=(
                        "status can be changed to cancelled only; a booking is moved by"
                        " changing its slot."
                    ),
                    expression="Appointment.status",
                )
            )
        if not moves and wanted.subject is not None:
            # A move sends the resident's name; what is to be cancelled has none here.
            known = self._gateway.booking.get_subject(present.id)
            if known is not None:
                issues.extend(renamings(known, wanted.subject, change.sent))
        if change.sent:
            shown = self.appointment(present)
            if "slot" in shown and wanted.token is None and not change.leaves_slot:
                issues.append(
                    Issue(
                        code="required",
                        diagnostics="Name the slot: its own, or the one to move to.",
                        expression="Appointment.slot",
                    )
                )
            if moves and wanted.token is not None:
                # What came with the old time may stay, and is not heeded.
                is_new = change.sent.get("serviceType") != shown.get("serviceType")
                issues.extend(
                    self._foreign(change.sent, wanted.token, has_service_type=is_new)
                )
            issues.extend(
                undoable_changes(
                    shown,
                    change.sent,
                    moves=moves,
                    exact=change.exact,
                    by_operation=change.by_operation,
                    is_current=_is_current(present),
                )
            )
        if issues:
            raise Problem(issues, kind=ProblemKind.UNPROCESSABLE)

    def hold(
        self, wanted: AppointmentRequest, request: RequestKey | None
    ) -> ManagedBooking:
        """
        Hold what a request, which was read to hold, wants.

        Raises:
            GatewayError: As `BookingService.hold`.
        """
        if wanted.token is None or wanted.number is None:
            raise TypeError("the request was not read to hold")
        return self._gateway.booking.hold(
            HoldRequest(
                token=wanted.token,
                number=wanted.number,
                subject=wanted.subject,
                request=request,
            )
        )

    def renew(self, identifier: str) -> ManagedBooking:
        """
        Let a hold last as long as one can, from now.

        Raises:
            GatewayError: As `BookingService.renew`.
        """
        return self._gateway.booking.renew(identifier)

    def release(
        self, identifier: str, reason: CancellationReason | None
    ) -> ManagedBooking:
        """
        Let a hold go.

        Raises:
            GatewayError: As `BookingService.release`.
        """
        return self._gateway.booking.release(identifier, reason=reason)

    def book_held(
        self,
        present: ManagedBooking,
        wanted: AppointmentRequest,
        sent: Mapping[str, Any],
        request: RequestKey | None,
    ) -> BookedTimeslot:
        """
        Book what is held.

        Args:
            present: The hold.
            wanted: What the request says.
            sent: The Appointment that the request comes to.
            request: What the client calls the request.

        Raises:
            Problem: 422 when another person, or a participant or a `serviceType` that
                is not the slot's, is named.
            GatewayError: As `BookingService.book_held`.
        """
        _check_same_person(present, wanted)
        issues = self._foreign(sent, TimeslotToken.parse(present.timeslot.token))
        if issues:
            raise Problem(issues, kind=ProblemKind.UNPROCESSABLE)
        return self._gateway.booking.book_held(
            present.id,
            subject=wanted.subject,
            reason=wanted.comment,
            request=request,
        )

    def schedule(self, token: TimeslotToken) -> Schedule | None:
        """Return whose time a slot is; None where this process has not seen it."""
        schedules = self._gateway.slot_search.snapshot.schedules
        number = schedules.number(token.schedule)
        return None if number is None else schedules[number]

    def service_type(self, token: TimeslotToken) -> dict[str, Any] | None:
        """Return a slot's `serviceType`; None where this process has not seen it."""
        directory = self._gateway.slot_search.snapshot.directory
        offering = directory.offerings.get(token.time_type)
        if offering is None:
            return None
        return service_type_from_time_type(
            offering.time_type, token.unit, self._gateway.vocabulary
        )

    def appointment(self, booking: ManagedBooking) -> dict[str, Any]:
        """Return a booking as a client sees it."""
        schedule = booking.timeslot.schedule
        snapshot = self._gateway.slot_search.snapshot
        offering = snapshot.directory.offerings.get(
            time_type_token(schedule.unit, schedule.time_type_id)
        )
        unit = snapshot.directory.units.get(schedule.unit)
        return appointment_from_booking(
            booking,
            offering.time_type
            if offering
            else TimeType(id=schedule.time_type_id, name=schedule.time_type_name),
            unit_name=unit.name if unit else schedule.unit,
            vocabulary=self._gateway.vocabulary,
            is_offered=offering is not None,
            is_listed=(
                # No free time lasts no time at all.
                booking.timeslot.start < booking.timeslot.end
                and snapshot.schedules.number(schedule.token) is not None
            ),
        )

    def _foreign(
        self,
        sent: Mapping[str, Any],
        token: TimeslotToken,
        *,
        has_service_type: bool = True,
    ) -> list[Issue]:
        """Return a fault for each participant and `serviceType` that a slot lacks."""
        service_type = self.service_type(token) if has_service_type else None
        return [
            *foreign_participants(
                sent, token, self.schedule(token), base_url=self._gateway.base_url
            ),
            *(
                foreign_service_types(sent, service_type)
                if service_type is not None
                else ()
            ),
        ]

    def _move(
        self,
        present: ManagedBooking,
        wanted: AppointmentRequest,
        version: int | None,
        request: RequestKey | None,
    ) -> ManagedBooking:
        if wanted.token is not None and (wanted.token.text != present.timeslot.token):
            return self._gateway.booking.move(
                present.id,
                MoveRequest(
                    token=wanted.token,
                    subject=wanted.subject,
                    reason=wanted.comment,
                    request=request,
                ),
                version=version,
            )
        if present.status is BookingStatus.CANCELLED:
            raise _already_cancelled()
        return present


def _is_current(present: ManagedBooking) -> bool:
    """Return whether a booking was read with what its source has just said of it."""
    return (
        present.status is BookingStatus.BOOKED
        and present.confirmed_at is not None
        and now() - present.confirmed_at < _JUST_NOW
    )


def _may_become(present: ManagedBooking, change: Change, *, moves: bool) -> bool:
    """Return whether a status is one that a booking has, or can have by a change."""
    status = change.wanted.status
    return (
        status in ("cancelled", present.status.value)
        or (status in BOOKABLE and (moves or change.by_operation))
        # A client that has not heard of a cancellation is told of that.
        or (status in BOOKABLE and present.status is BookingStatus.CANCELLED)
    )


def _check_same_person(present: ManagedBooking, wanted: AppointmentRequest) -> None:
    if wanted.number is not None and wanted.number != present.number:
        raise Problem(
            [
                Issue(
                    code="business-rule",
                    diagnostics="An appointment cannot be given to another person.",
                    expression="Appointment.participant",
                )
            ],
            kind=ProblemKind.UNPROCESSABLE,
        )


def _check_own_slot(present: ManagedBooking, wanted: AppointmentRequest) -> None:
    """
    Check that what is to be cancelled is not to be moved too.

    A client that read the appointment as cancelled, and now wants another time, must
    not lose the one that it turns out to have.
    """
    if wanted.token is None or wanted.token.text == present.timeslot.token:
        return
    if present.status is BookingStatus.CANCELLED:
        raise _already_cancelled()
    raise Conflict(
        "The slot is not the appointment's own, so whether to move or to cancel it is"
        " not clear: read it again, and change one of the two."
    )


def _already_cancelled() -> Conflict:
    return Conflict(
        "The appointment is cancelled, so it cannot be changed: book the slot anew.",
        error_code=ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED,
    )
