"""
The gatekeeper: lets a principal use an interaction, and act for a resident.

Each request passes `admit`. One that concerns a person then gets a grant, from
`grant_for_person` or `grant_for_booking`, before anything of that person is read,
before a request key is looked up, and before a region is asked.
"""

from collections.abc import Callable
from typing import Final, Protocol

from fhir_gateway.access.may_act import MayAct
from fhir_gateway.access.policy import Interaction, Row, Rule, row_of
from fhir_gateway.access.scope import Extent, extent_of
from fhir_gateway.model.booking import BookingStatus
from fhir_gateway.model.errors import NotFound, NotPermitted, Unauthenticated
from fhir_gateway.model.grant import Basis, BookingOwner, Grant
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Role
from fhir_gateway.model.timekeeping import Clock, now

__all__ = ["FindOwner", "Gatekeeper", "Witness"]

FindOwner = Callable[[str], BookingOwner | None]
"""Returns the owner of a booking by our id of it; None when there is none."""

_READ: Final = Interaction("Appointment", "read")
_SEARCH: Final = Interaction("Appointment", "search-type")
_SYSTEMS: Final = frozenset({Role.SYSTEM, Role.OPERATOR})
_NO_PERSON: Final = "There is no such person, or you may not act for them."
_NO_BOOKING: Final = "There is no such booking."
_NO_RECORD: Final = "There is no such record of the audit trail."


class Witness(Protocol):
    """Records who was let in, and who was not, before anything else happens."""

    def note(
        self,
        principal: Principal,
        interaction: Interaction,
        *,
        subject: PersonalIdentityNumber | None,
        booking: str | None,
        unit: HsaId | None,
        grant: Grant | None,
    ) -> None:
        """
        Record a grant, or a refusal (no grant), durably.

        Args:
            principal: Who asks.
            interaction: What the request is.
            subject: The person whom it concerns; None where nobody has the id.
            booking: Our id of the booking, where the request names one that exists.
            unit: Where the booking is, or where the request wants something done; None
                for a list.
            grant: The grant.

        Raises:
            Unavailable: It cannot be recorded, so nothing may happen.
        """


class Gatekeeper:
    """
    Decides what principals may do.

    Args:
        find_owner: Finds the owners of bookings.
        may_act: Knows who may act for whom.
        witnesses: Record each decision about a person, in this order.
        is_open_to_anybody: Free times and the directory need no token.
        clock: Returns the time.
    """

    def __init__(
        self,
        find_owner: FindOwner,
        may_act: MayAct,
        witnesses: tuple[Witness, ...],
        *,
        is_open_to_anybody: bool,
        clock: Clock = now,
    ) -> None:
        self._find_owner = find_owner
        self._may_act = may_act
        self._witnesses = witnesses
        self._is_open_to_anybody = is_open_to_anybody
        self._clock = clock

    def admit(self, principal: Principal, interaction: Interaction) -> None:
        """
        Let a principal use an interaction, for whomever.

        Raises:
            Unauthenticated: The interaction needs a token.
            NotPermitted: The principal's role, purpose or scopes do not permit it.
        """
        self._row(principal, interaction)

    def may_read(self, principal: Principal, status: BookingStatus) -> bool:
        """Return whether a principal may read appointments with a status at all."""
        return self._reaches(principal, _READ, status)

    def may_search(self, principal: Principal, status: BookingStatus) -> bool:
        """Return whether a principal may find appointments with a status at all."""
        return self._reaches(principal, _SEARCH, status)

    def _reaches(
        self, principal: Principal, interaction: Interaction, status: BookingStatus
    ) -> bool:
        try:
            _, extent = self._row(principal, interaction)
        except (Unauthenticated, NotPermitted):
            return False
        return extent.statuses is None or status.value in extent.statuses

    def grant_for_person(
        self,
        principal: Principal,
        interaction: Interaction,
        number: PersonalIdentityNumber,
        unit: HsaId | None = None,
    ) -> Grant:
        """
        Return the grant to act for a person, whom the request names.

        Args:
            principal: Who asks.
            interaction: What the request is.
            number: The person's.
            unit: Where the request wants something done; None for a list.

        Raises:
            NotFound: The principal may not act for that person, or not at that unit.
            Unavailable: The decision cannot be recorded, or not made now.
        """
        row, extent = self._row(principal, interaction)
        basis = self._basis(principal, row.rule, number)
        grant = None
        if basis is not None and not (
            basis is Basis.OWN_UNITS and unit is not None and not principal.is_at(unit)
        ):
            grant = Grant(
                principal=principal,
                subject=number,
                basis=basis,
                statuses=extent.statuses,
            )
        self._note(
            principal,
            interaction,
            subject=number,
            booking=None,
            unit=unit,
            grant=grant,
        )
        if grant is None:
            raise NotFound(_NO_PERSON)
        return grant

    def grant_for_booking(
        self, principal: Principal, interaction: Interaction, booking: str
    ) -> Grant:
        """
        Return the grant to act on a booking, for its resident.

        An id of nobody's booking and an id of somebody else's are the same to the
        caller: the same lookups, one message.

        Args:
            principal: Who asks.
            interaction: What the request is.
            booking: Our id of the booking, as the client wrote it.

        Raises:
            NotFound: There is no such booking, or the principal may not see it.
            Unavailable: The decision cannot be recorded, or not made now.
        """
        row, extent = self._row(principal, interaction)
        owner = self._find_owner(booking)
        grant = None
        basis = self._basis_if_found(
            principal, row.rule, None if owner is None else owner.number
        )
        if owner is not None and basis is not None:
            grant = Grant(
                principal=principal,
                subject=owner.number,
                basis=basis,
                statuses=extent.statuses,
            )
            if not grant.covers(owner):
                grant = None
        self._note(
            principal,
            interaction,
            subject=None if owner is None else owner.number,
            booking=None if owner is None else booking,
            unit=None if owner is None else owner.unit,
            grant=grant,
        )
        if grant is None:
            raise NotFound(_NO_BOOKING)
        return grant

    def grant_for_record(
        self,
        principal: Principal,
        interaction: Interaction,
        subject: PersonalIdentityNumber | None,
    ) -> Grant:
        """
        Return the grant to read a record of the audit trail, named by its id.

        Args:
            principal: Who asks.
            interaction: What the request is.
            subject: The person whom the record concerns; None when there is no record.

        Raises:
            NotFound: There is no such record, or the principal may not see it.
            Unavailable: The decision cannot be recorded, or not made now.
        """
        row, extent = self._row(principal, interaction)
        grant = None
        basis = self._basis_if_found(principal, row.rule, subject)
        if subject is not None and basis is not None:
            grant = Grant(
                principal=principal,
                subject=subject,
                basis=basis,
                statuses=extent.statuses,
            )
        self._note(
            principal,
            interaction,
            subject=subject,
            booking=None,
            unit=None,
            grant=grant,
        )
        if grant is None:
            raise NotFound(_NO_RECORD)
        return grant

    def _row(
        self, principal: Principal, interaction: Interaction
    ) -> tuple[Row, Extent]:
        row = row_of(principal.role, interaction)
        if principal.role is Role.ANYBODY and (
            row is None or not (row.rule is Rule.PUBLIC or self._is_open_to_anybody)
        ):
            raise Unauthenticated(
                "This needs an access token, as Authorization: Bearer …;"
                " .well-known/smart-configuration says where to get one.",
                is_without_token=True,
            )
        if row is None or principal.purpose not in row.purposes:
            raise NotPermitted(
                "The role or the purpose of your access token does not permit this;"
                " docs/access.md has the table."
            )
        return row, self._extent(principal, row, interaction)

    def _extent(
        self, principal: Principal, row: Row, interaction: Interaction
    ) -> Extent:
        if row.rule in (Rule.ALL, Rule.POSTS) or principal.role is Role.ANYBODY:
            return Extent()
        resource_type, letter = interaction.scope
        extent = extent_of(principal.scopes, principal.role, resource_type, letter)
        if extent is None and row.rule is Rule.OPEN and self._is_open_to_anybody:
            # A token never permits less than no token.
            return Extent()
        if extent is None:
            context = "system" if principal.role in _SYSTEMS else "user"
            context = "patient" if principal.role is Role.RESIDENT else context
            scope = f"{context}/{resource_type}.{letter}"
            raise NotPermitted(
                f"Your access token lacks the scope {scope}.", scope=scope
            )
        return extent

    def _basis_if_found(
        self, principal: Principal, rule: Rule, number: PersonalIdentityNumber | None
    ) -> Basis | None:
        """Return the ground to act for the person of what an id names; None is none."""
        if number is not None:
            return self._basis(principal, rule, number)
        if rule is Rule.OWN and principal.number is not None:
            # As of another's, so that neither the time nor an outage of the register
            # shows which ids there are. The answer does not count.
            self._may_act.mandate(principal.number, principal.number, self._clock())
        return None

    def _basis(
        self, principal: Principal, rule: Rule, number: PersonalIdentityNumber
    ) -> Basis | None:
        match rule:
            case Rule.ALL:
                return Basis.DEMO
            case Rule.NEW:
                return Basis.STAFF
            case Rule.UNITS:
                return Basis.OWN_UNITS
            case Rule.OWN if principal.number == number:
                return Basis.SELF
            case Rule.OWN if principal.number is not None:
                mandate = self._may_act.mandate(principal.number, number, self._clock())
                return None if mandate is None else mandate.basis
        return None

    def _note(
        self,
        principal: Principal,
        interaction: Interaction,
        *,
        subject: PersonalIdentityNumber | None,
        booking: str | None,
        unit: HsaId | None,
        grant: Grant | None,
    ) -> None:
        for witness in self._witnesses:
            witness.note(
                principal,
                interaction,
                subject=subject,
                booking=booking,
                unit=unit,
                grant=grant,
            )
