"""
Answers with an appointment: status, headers, and the form that `Prefer` asks for.
"""

from collections.abc import Callable
from typing import Any

from flask import Response

from fhir_gateway.fhir.appointment import booking_issues
from fhir_gateway.fhir.outcome import Issue, Severity, operation_outcome
from fhir_gateway.model.booking import BookingStatus, ManagedBooking
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.timekeeping import http_date_text
from fhir_gateway.services.booking.request import BookedTimeslot
from fhir_gateway.web.exchange import fhir_response, preferences
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.identity import may_read

__all__ = ["AppointmentAnswers", "Wrap"]

Wrap = Callable[[dict[str, Any], int], dict[str, Any]]
"""Puts an Appointment, answered with a status, into a client's own form."""


class AppointmentAnswers:
    """
    Builds the answers about single appointments.

    An answer to a write shows what the request has made, and a hold. It shows another
    appointment only to who may read it: without that, neither the Appointment, nor its
    version, nor its issues.

    Args:
        gateway: The services.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._base_url = gateway.base_url

    def read(
        self, booking: ManagedBooking | OpenInvitation, resource: dict[str, Any]
    ) -> Response:
        """Return the answer to a read."""
        # Without _history, as in the answers to writes.
        url = f"{self._base_url}/Appointment/{booking.id}"
        headers = {**_versioned(booking), "Content-Location": url}
        return fhir_response(resource, headers=headers)

    def booked(
        self,
        booked: BookedTimeslot,
        resource: dict[str, Any],
        wrap: Wrap | None = None,
    ) -> Response:
        """Return the answer to a booking: 201, 200 (existing) or 202 (pending)."""
        booking = booked.booking
        return self._answer(
            booking,
            resource,
            status=201 if booked.is_new else 200,
            names={"Content-Location", "Location"},
            shows=booked.is_new,
            wrap=wrap,
        )

    def changed(
        self,
        booking: ManagedBooking,
        resource: dict[str, Any],
        wrap: Wrap | None = None,
    ) -> Response:
        """Return the answer to a move or cancellation: 200, or 202 (pending)."""
        return self._answer(
            booking,
            resource,
            status=200,
            names={"Content-Location"},
            shows=False,
            wrap=wrap,
        )

    def _answer(
        self,
        booking: ManagedBooking,
        resource: dict[str, Any],
        *,
        status: int,
        names: set[str],
        shows: bool,
        wrap: Wrap | None,
    ) -> Response:
        applied = ""
        # A hold is pending too, but with a known outcome.
        if booking.status is BookingStatus.PENDING and booking.held_until is None:
            status, names = 202, {"Content-Location"}
            applied = preferences().of_region
        # Without _history: clients follow this URL, and this server keeps no old
        # versions.
        url = f"{self._base_url}/Appointment/{booking.id}"
        headers = dict.fromkeys(sorted(names), url)
        if applied:
            headers["Preference-Applied"] = applied
        if not (
            shows
            or booking.held_until is not None
            or may_read(self._gateway, booking.status)
        ):
            return fhir_response(None, status=status, headers=headers)
        headers = {**_versioned(booking), **headers}
        body: dict[str, Any] | None = wrap(resource, status) if wrap else resource
        returns = preferences().returns
        if returns == "minimal":
            body = None
        elif returns == "OperationOutcome":
            body = operation_outcome(_issues(booking))
        return fhir_response(body, status=status, headers=headers)


def _issues(booking: ManagedBooking) -> list[Issue]:
    return booking_issues(booking) or [
        Issue(
            severity=Severity.INFORMATION,
            code="informational",
            diagnostics=f"The appointment is {booking.status.value}.",
        )
    ]


def _versioned(booking: ManagedBooking | OpenInvitation) -> dict[str, str]:
    """Return the headers that give its version (FHIR R4, 3.1.0.5)."""
    return {
        "ETag": f'W/"{booking.version}"',
        "Last-Modified": http_date_text(booking.updated_at),
    }
