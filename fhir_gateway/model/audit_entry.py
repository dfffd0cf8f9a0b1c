"""
Audit entries: who asked for what about which person, why, and whether they may.
"""

from dataclasses import dataclass
from datetime import datetime

from fhir_gateway.model.grant import Basis
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal

__all__ = ["AuditEntry", "AuditRecord"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuditEntry:
    """
    One grant or refusal.

    Attributes:
        principal: Who asks. A stored entry lacks its scopes and units.
        resource_type: The resource type of FHIR.
        interaction: The code of the interaction, or the name of an operation with its
            dollar.
        basis: The ground of the grant; None for a refusal.
        subject: The person whom it concerns; None where nobody has the asked-for id.
        booking: Our id of the booking, where the request names one that exists.
        sources: The sources that the request may ask.
        request: The client's name for the request (`X-Request-Id`).
    """

    principal: Principal
    resource_type: str
    interaction: str
    basis: Basis | None
    subject: PersonalIdentityNumber | None
    booking: str | None = None
    sources: tuple[SourceName, ...] = ()
    request: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.resource_type} {self.interaction})"

    @property
    def is_permitted(self) -> bool:
        """Return whether the principal got a grant."""
        return self.basis is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """
    A stored entry.

    Attributes:
        sequence: Its place in the chain, from 1 on.
        id: Its public id, a random UUID.
        recorded_at: When it was stored, by the database's clock.
    """

    sequence: int
    id: str
    recorded_at: datetime
    entry: AuditEntry

    @property
    def subject(self) -> PersonalIdentityNumber | None:
        """Return the person whom it concerns."""
        return self.entry.subject
