"""
Who sends the present request, and what it is granted.

`identify` runs before each view. A view that touches a person's data asks for a grant
first, and hands it on to the services.
"""

from collections.abc import Mapping
from typing import Final

from flask import g, request

from fhir_gateway.access.notifier import notifier
from fhir_gateway.access.policy import NOTIFY, PUBLIC, Interaction
from fhir_gateway.model.booking import BookingStatus
from fhir_gateway.model.errors import Unauthenticated
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.limiting import count_refused_token, limit
from fhir_gateway.web.peer import present_peer

__all__ = [
    "admit_change",
    "admit_read",
    "admit_search",
    "grant_for_booking",
    "grant_for_person",
    "grant_for_record",
    "grant_to_read_booking",
    "identify",
    "may_read",
    "may_search",
    "present_principal",
]

_AUTHORIZATION: Final = "Authorization"
_READ: Final = Interaction("Appointment", "read")
_SEARCH: Final = Interaction("Appointment", "search-type")
_UPDATE: Final = Interaction("Appointment", "update")


def identify(gateway: Gateway, interactions: Mapping[str, Interaction]) -> None:
    """
    Find out who sends the present request, and whether they may at all, and now.

    What has no interaction of FHIR (health, metadata, unknown URLs) is open to all.

    Args:
        gateway: The services.
        interactions: The interaction of each endpoint of Flask.

    Raises:
        Unauthenticated: The request has no valid token, and needs one.
        NotPermitted: The principal's role, purpose or scopes do not permit it.
        LimitReached: The client has used up a limit.
        Unavailable: The issuer's keys are not known yet.
    """
    interaction = interactions.get(request.endpoint or "")
    if interaction is None:
        return
    if interaction == NOTIFY:
        _admit_notifier(gateway)
        return
    authorization = request.headers.get(_AUTHORIZATION)
    try:
        principal = gateway.identity.principal_of(
            None if interaction in PUBLIC else authorization,
            present_peer().certificate,
        )
    except Unauthenticated as error:
        if not error.is_without_token:
            count_refused_token(gateway.limits)
        raise
    gateway.gatekeeper.admit(principal, interaction)
    limit(gateway.limits, principal, interaction)
    g.principal = principal
    g.interaction = interaction


def _admit_notifier(gateway: Gateway) -> None:
    """
    Check that the present request comes from the engagement index.

    Raises:
        Unauthenticated: There is no client certificate.
        NotPermitted: The certificate is not one of those that may notify.
    """
    peer = present_peer()
    principal = notifier(peer.certificate, peer.thumbprint, gateway.notifiers)
    gateway.gatekeeper.admit(principal, NOTIFY)


def present_principal() -> Principal:
    """Return who sends the present request."""
    principal: Principal = g.principal
    return principal


def admit_change(gateway: Gateway) -> None:
    """
    Check that the present request may change a booking, where its operation makes one.

    Raises:
        NotPermitted: The principal's role, purpose or scopes do not permit it.
    """
    gateway.gatekeeper.admit(g.principal, _UPDATE)


def admit_read(gateway: Gateway) -> None:
    """
    Check that the present request may read bookings, where its answer depends on one.

    Raises:
        NotPermitted: The principal's role, purpose or scopes do not permit it.
    """
    gateway.gatekeeper.admit(g.principal, _READ)


def admit_search(gateway: Gateway) -> None:
    """
    Check that the present request may search for bookings and read what it finds.

    Raises:
        NotPermitted: The principal's role, purpose or scopes do not permit it.
    """
    gateway.gatekeeper.admit(g.principal, _SEARCH)
    admit_read(gateway)


def may_search(gateway: Gateway, status: BookingStatus) -> bool:
    """Return whether a search of the present request may find such appointments."""
    return gateway.gatekeeper.may_search(g.principal, status)


def may_read(gateway: Gateway, status: BookingStatus) -> bool:
    """Return whether who sends the present request may read such appointments."""
    return gateway.gatekeeper.may_read(g.principal, status)


def grant_for_person(
    gateway: Gateway, number: PersonalIdentityNumber, unit: HsaId | None = None
) -> Grant:
    """
    Return the grant of the present request to act for a person.

    Raises:
        GatewayError: As `Gatekeeper.grant_for_person`.
    """
    return gateway.gatekeeper.grant_for_person(g.principal, g.interaction, number, unit)


def grant_for_booking(gateway: Gateway, booking: str) -> Grant:
    """
    Return the grant of the present request to act on a booking.

    Raises:
        GatewayError: As `Gatekeeper.grant_for_booking`.
    """
    return gateway.gatekeeper.grant_for_booking(g.principal, g.interaction, booking)


def grant_to_read_booking(gateway: Gateway, booking: str) -> Grant:
    """
    Return the grant to read a booking, where a search for open data depends on it.

    Raises:
        GatewayError: As `admit_read` and `Gatekeeper.grant_for_booking`.
    """
    gateway.gatekeeper.admit(g.principal, _READ)
    return gateway.gatekeeper.grant_for_booking(g.principal, _READ, booking)


def grant_for_record(gateway: Gateway, subject: PersonalIdentityNumber | None) -> Grant:
    """
    Return the grant of the present request to read a record of the audit trail.

    Raises:
        GatewayError: As `Gatekeeper.grant_for_record`.
    """
    return gateway.gatekeeper.grant_for_record(g.principal, g.interaction, subject)
