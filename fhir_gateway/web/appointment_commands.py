"""
Appointment commands, shared by REST and operations.

Create, update, patch and each operation call them, so that all of them do the same.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from fhir_gateway.fhir.appointment_change import changed_names, unsupported_changes
from fhir_gateway.fhir.appointment_request import AppointmentRequest
from fhir_gateway.fhir.free_text import COMMENT
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.service_type import foreign_service_types
from fhir_gateway.fhir.slot_participant import foreign_participants
from fhir_gateway.model.booking import (
    BookingStatus,
    CancellationReason,
    ManagedBooking,
)
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import Conflict, Stale
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.booking.holding import HoldRequest
from fhir_gateway.services.booking.request import (
    BookedTimeslot,
    BookingRequest,
    MoveRequest,
)
from fhir_gateway.web.appointment_view import AppointmentView
from fhir_gateway.web.change_checks import (
    Change,
    already_cancelled,
    check_own_slot,
    check_same_person,
    is_current,
    may_become,
)
from fhir_gateway.web.exchange import preferences
from fhir_gateway.web.gateway import Gateway

__all__ = ["AppointmentCommands"]

_LOOKS_BESIDE_OTHERS: Final = 2


class AppointmentCommands:
    """
    Books, moves and cancels appointments at clients' requests.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._view = AppointmentView(gateway)

    def read(self, identifier: str, grant: Grant) -> ManagedBooking:
        """
        Return the present state of a booking.

        Raises:
            NotFound: No booking that the principal may see has that id.
        """
        booking = self._gateway.booking.read(identifier, grant)
        grant.check_status(booking.status.value)
        return booking

    def book(
        self,
        wanted: AppointmentRequest,
        grant: Grant,
        request: RequestKey | None = None,
    ) -> BookedTimeslot:
        """
        Book a slot, for a request that was read with `to_book`.

        Args:
            wanted: The request.
            grant: Who books.
            request: The client's key of the request.

        Raises:
            GatewayError: As `BookingService.book`.
        """
        if wanted.token is None or wanted.subject is None:
            raise TypeError("the request was not read to book")
        grant.check_outcome(BookingStatus.BOOKED.value)
        return self._gateway.booking.book(
            BookingRequest(
                token=wanted.token,
                subject=wanted.subject,
                grant=grant,
                reason=wanted.comment,
                request=request,
                waits=preferences().waits_for_region,
            )
        )

    def change(
        self,
        present: ManagedBooking,
        grant: Grant,
        change: Change,
        version: int | None,
        request: RequestKey | None = None,
    ) -> ManagedBooking:
        """
        Move an appointment (another slot) or cancel it (status cancelled).

        Args:
            present: The booking, read just now.
            grant: Who asks.
            change: The wanted change.
            version: The version that the client wants to change; None for any.
            request: The client's key of the request.

        Raises:
            Problem: 422 for any other change, with an issue for each.
            GatewayError: As `BookingService.move` and `cancel`.
        """
        wanted = change.wanted
        check_same_person(present, wanted)
        cancels = wanted.status == "cancelled"
        is_done = cancels and present.status is BookingStatus.CANCELLED
        if version not in (None, present.version) and not is_done:
            raise Stale("The appointment has changed since you read it; read it again.")
        if self._repeats_taking_up(present, change):
            return present
        self.check_change(present, change)
        if cancels:
            return self._cancel(present, grant, wanted, version, request)
        return self._move(present, grant, wanted, version, request)

    def _repeats_taking_up(self, present: ManagedBooking, change: Change) -> bool:
        """
        Return whether a client that saw an open invitation books its slot once more.

        Raises:
            Conflict: It books another slot; to move, it must know of the booking.
        """
        token = change.wanted.token
        if (
            token is None
            or not self._saw_open(present, change)
            or present.status is BookingStatus.CANCELLED
            or not self._gateway.booking.invitations.was_open(present.id)
        ):
            return False
        if token.text == present.timeslot.token:
            return True
        raise Conflict(
            "The invitation has been booked already: read it again. To move it, send"
            " status booked.",
            source=present.source,
        )

    def _saw_open(self, present: ManagedBooking, change: Change) -> bool:
        """Return whether what a client sent is the invitation, not its booking."""
        if change.sent.get("status") == "proposed":
            return True
        mark = self._gateway.vocabulary.profile("is-invitation")
        return not present.is_invitation and any(
            each.get("url") == mark and each.get("valueBoolean") is True
            for each in change.sent.get("extension", ())
        )

    def _cancel(
        self,
        present: ManagedBooking,
        grant: Grant,
        wanted: AppointmentRequest,
        version: int | None,
        request: RequestKey | None,
    ) -> ManagedBooking:
        cancel = partial(
            self._gateway.booking.cancel,
            present.id,
            grant,
            reason=wanted.cancellation,
            version=version,
            request=request,
            waits=preferences().waits_for_region,
        )
        # Another request may have begun to cancel it, and may end while this one looks:
        # then that cancellation is the answer.
        for _ in range(_LOOKS_BESIDE_OTHERS):
            with suppress(Conflict):
                return cancel()
        return cancel()

    def check_change(self, present: ManagedBooking, change: Change) -> None:
        """
        Check what can be known of a change without asking a region.

        Raises:
            Problem: 422, with an issue for each fault.
            Conflict: It cancels, and names another slot.
        """
        check_same_person(present, change.wanted)
        if change.wanted.status == "cancelled":
            check_own_slot(present, change.wanted)
        self._check_change(present, change)

    def check_unchanged(self, present: ManagedBooking, change: Change) -> None:
        """
        Check that a sent Appointment does not change its booking.

        Raises:
            Problem: 422, with an issue for each change.
            Conflict: It names another slot.
        """
        check_same_person(present, change.wanted)
        check_own_slot(present, change.wanted)
        self._check_change(present, change)

    def _check_change(self, present: ManagedBooking, change: Change) -> None:
        wanted = change.wanted
        moves = wanted.token is not None and (
            wanted.token.text != present.timeslot.token
        )
        issues: list[Issue] = []
        if moves and wanted.comment != present.reason:
            COMMENT.read(wanted.comment, "Appointment.comment", issues.append)
        if not may_become(present, change, moves=moves):
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
            # A move sends the resident's name; a cancellation has none here.
            known = self._gateway.booking.get_subject(present.id)
            if known is not None:
                issues.extend(changed_names(known, wanted.subject, change.sent))
        if change.sent:
            shown = self._view.appointment(present)
            if "slot" in shown and wanted.token is None and not change.leaves_slot:
                issues.append(
                    Issue(
                        code="required",
                        diagnostics="Name the slot: its own, or the one to move to.",
                        expression="Appointment.slot",
                    )
                )
            if moves and wanted.token is not None:
                # The old time's serviceType may stay, and is ignored.
                is_new = change.sent.get("serviceType") != shown.get("serviceType")
                issues.extend(
                    self._foreign_issues(
                        change.sent, wanted.token, has_service_type=is_new
                    )
                )
            issues.extend(
                unsupported_changes(
                    shown,
                    change.sent,
                    moves=moves,
                    exact=change.exact,
                    by_operation=change.by_operation,
                    is_current=is_current(present),
                    service_type=(
                        self._view.service_type(wanted.token)
                        if moves and wanted.token is not None
                        else None
                    ),
                )
            )
        if issues:
            raise Problem(issues, kind=ProblemKind.UNPROCESSABLE)

    def hold(
        self, wanted: AppointmentRequest, grant: Grant, request: RequestKey | None
    ) -> ManagedBooking:
        """
        Hold a slot, for a request that was read with `to_hold`.

        Raises:
            GatewayError: As `BookingService.hold`.
        """
        if wanted.token is None or wanted.number is None:
            raise TypeError("the request was not read to hold")
        grant.check_outcome(BookingStatus.PENDING.value)
        return self._gateway.booking.hold(
            HoldRequest(
                token=wanted.token,
                number=wanted.number,
                grant=grant,
                subject=wanted.subject,
                request=request,
            )
        )

    def renew(self, identifier: str, grant: Grant) -> ManagedBooking:
        """
        Extend a hold to the longest duration, from now.

        Raises:
            GatewayError: As `BookingService.renew`.
        """
        return self._gateway.booking.renew(identifier, grant)

    def release(
        self, identifier: str, grant: Grant, reason: CancellationReason | None
    ) -> ManagedBooking:
        """
        Release a hold.

        Raises:
            GatewayError: As `BookingService.release`.
        """
        return self._gateway.booking.release(identifier, grant, reason=reason)

    def book_held(
        self,
        present: ManagedBooking,
        grant: Grant,
        wanted: AppointmentRequest,
        sent: Mapping[str, Any],
        request: RequestKey | None,
    ) -> BookedTimeslot:
        """
        Book a held slot.

        Args:
            present: The hold.
            grant: Who books.
            wanted: The request.
            sent: The Appointment of the request.
            request: The client's key of the request.

        Raises:
            Problem: 422 when the request names another person, or a participant or a
                `serviceType` that is not the slot's.
            GatewayError: As `BookingService.book_held`.
        """
        grant.check_outcome(BookingStatus.BOOKED.value)
        check_same_person(present, wanted)
        issues = self._foreign_issues(sent, TimeslotToken.parse(present.timeslot.token))
        if issues:
            raise Problem(issues, kind=ProblemKind.UNPROCESSABLE)
        return self._gateway.booking.book_held(
            present.id,
            grant,
            subject=wanted.subject,
            reason=wanted.comment,
            request=request,
            waits=preferences().waits_for_region,
        )

    def _foreign_issues(
        self,
        sent: Mapping[str, Any],
        token: TimeslotToken,
        *,
        has_service_type: bool = True,
    ) -> list[Issue]:
        """Return a fault for each participant and `serviceType` that a slot lacks."""
        service_type = self._view.service_type(token) if has_service_type else None
        return [
            *foreign_participants(
                sent, token, self._view.schedule(token), base_url=self._gateway.base_url
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
        grant: Grant,
        wanted: AppointmentRequest,
        version: int | None,
        request: RequestKey | None,
    ) -> ManagedBooking:
        if wanted.token is not None and (wanted.token.text != present.timeslot.token):
            grant.check_unit(wanted.token.unit)
            return self._gateway.booking.move(
                present.id,
                MoveRequest(
                    token=wanted.token,
                    grant=grant,
                    subject=wanted.subject,
                    reason=wanted.comment,
                    request=request,
                    waits=preferences().waits_for_region,
                ),
                version=version,
            )
        if present.status is BookingStatus.CANCELLED:
            raise already_cancelled()
        return present
