"""
Grants: what a principal may do for one resident.

Only `access/` makes grants, and each service that touches a person's bookings needs
one. So no caller can forget to ask whether the principal may.
"""

from dataclasses import dataclass
from enum import Enum

from fhir_gateway.model.errors import NotFound, NotPermitted
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.interaction import Actor, Asker
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal

__all__ = ["Basis", "BookingOwner", "Grant"]


class Basis(Enum):
    """
    On what ground a principal acts for a resident.

    SELF: it is the resident.
    GUARDIAN: it is the guardian of the resident, a child.
    PROXY: the resident gave it a mandate.
    STAFF: it books for the resident on the phone.
    OWN_UNITS: it is the system of the units where the bookings are.
    DEMO: the server lets everybody do everything.
    """

    SELF = "self"
    GUARDIAN = "guardian"
    PROXY = "proxy"
    STAFF = "staff"
    OWN_UNITS = "own-units"
    DEMO = "demo"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BookingOwner:
    """
    What decides who may see a booking.

    Attributes:
        number: The resident's.
        unit: Where it is.
        maker: `Principal.key` of who made it here; None for a booking that a source
            reported, and for one of an earlier release.
        is_hold: It is only held.
    """

    number: PersonalIdentityNumber
    unit: HsaId
    maker: str | None
    is_hold: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Grant:
    """
    Who asks, for which resident, and on what ground.

    Attributes:
        principal: Who asks.
        subject: The resident.
        basis: The ground.
        statuses: The statuses of the appointments that the token's scopes reach; None
            for all.
    """

    principal: Principal
    subject: PersonalIdentityNumber
    basis: Basis
    statuses: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(basis={self.basis.value})"

    @property
    def actor(self) -> Actor:
        """
        Return who asks a region (RIV-TA `Actor`).

        A professional, or a system, never poses as the resident. A guardian is the
        resident to crm:scheduling 1.1, which has no actor for guardians.
        """
        staff = self.principal.staff
        organisation = self.principal.organisation
        if self.basis is Basis.STAFF and staff is not None:
            return Actor.agent(staff.hsa_id, on_behalf_of=staff.provider)
        if self.basis is Basis.OWN_UNITS and organisation is not None:
            return Actor.agent(organisation, on_behalf_of=organisation)
        return Actor.resident(self.subject)

    @property
    def asker(self) -> Asker:
        """Return who asks a region, and about which resident."""
        return Asker(resident=self.subject, actor=self.actor)

    @property
    def may_read(self) -> bool:
        """Return whether the principal may see what it has booked."""
        return self.basis is not Basis.STAFF

    def check_unit(self, unit: HsaId) -> None:
        """
        Check that the principal may do something at a unit.

        Raises:
            NotFound: It is a region's system, and the unit is not its own.
        """
        if self.basis is Basis.OWN_UNITS and not self.principal.is_at(unit):
            raise NotFound("There is no such unit, or you may not act there.")

    def check_status(self, status: str) -> None:
        """
        Check that the token's scopes reach appointments with a status.

        Raises:
            NotFound: They do not.
        """
        if self.statuses is not None and status not in self.statuses:
            raise NotFound("There is no such booking.")

    def check_outcome(self, status: str) -> None:
        """
        Check that the token's scopes reach what a request is to make.

        Raises:
            NotPermitted: They are restricted to other statuses.
        """
        if self.statuses is not None and status not in self.statuses:
            raise NotPermitted(
                f"Your access token's scopes do not reach appointments with status"
                f" {status}."
            )

    def covers(self, owner: BookingOwner) -> bool:
        """
        Return whether the principal may see a booking.

        This is the only predicate of its kind: for ids, lists, repeats and errors.
        """
        if self.subject != owner.number:
            return False
        match self.basis:
            case Basis.STAFF:
                return owner.is_hold and owner.maker == self.principal.key
            case Basis.OWN_UNITS:
                return self.principal.is_at(owner.unit)
            case _:
                return True

    def reaches(self, prefixes: tuple[str, ...]) -> bool:
        """Return whether units under some prefixes may be within the grant."""
        if self.basis is not Basis.OWN_UNITS:
            return True
        own = self.principal.units
        return any(
            one.startswith(other) or other.startswith(one)
            for one in own
            for other in prefixes
        )

    def check_subject(self, number: PersonalIdentityNumber) -> None:
        """
        Check that something is about the grant's resident.

        Raises:
            NotFound: It is about another one.
        """
        if number != self.subject:
            raise NotFound("There is no such booking.")

    def check(self, owner: BookingOwner) -> None:
        """
        Check that the principal may see a booking.

        Raises:
            NotFound: It may not: the booking looks as if it did not exist.
        """
        if not self.covers(owner):
            raise NotFound("There is no such booking.")
