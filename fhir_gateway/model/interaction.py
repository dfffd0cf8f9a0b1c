"""
An interaction of a service contract, and its actor (RIV-TA).

Each contract makes its own `Interaction`: those of crm:scheduling are in
`model/scheduling.py`.
"""

from dataclasses import dataclass, field
from enum import Enum

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["Actor", "ActorType", "Asker", "Interaction"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """
    One interaction of a service contract.

    Two interactions of the same name are equal.

    Attributes:
        name: The contract's own name for it, as messages, logs and settings have it.
        writes: It changes data in the region, so that it may be sent only once.
    """

    name: str
    writes: bool = field(default=False, kw_only=True, compare=False)

    def __str__(self) -> str:
        return self.name


class ActorType(Enum):
    """Who asks (RIV-TA `Actor` header)."""

    SUBJECT_OF_CARE = "subject_of_care"
    AGENT = "subject_of_care_agent"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Actor:
    """
    The `Actor` header: the resident, or an agent with an HSA-id.

    A producer must not tailor availability to the person when an agent asks.

    Attributes:
        on_behalf_of: The care provider that an agent acts for
            (`x-rivta-acting-on-behalf-of-hsaid`).
    """

    id: str
    type: ActorType
    on_behalf_of: HsaId | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(type={self.type.value})"

    @classmethod
    def resident(cls, number: PersonalIdentityNumber) -> "Actor":
        """Return the resident as actor."""
        return cls(id=number.reveal(), type=ActorType.SUBJECT_OF_CARE)

    @classmethod
    def agent(cls, hsa_id: HsaId, *, on_behalf_of: HsaId | None = None) -> "Actor":
        """Return an organisation or employee as actor."""
        return cls(id=hsa_id, type=ActorType.AGENT, on_behalf_of=on_behalf_of)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Asker:
    """Who asks a source, and about which resident."""

    resident: PersonalIdentityNumber
    actor: Actor

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.actor!r})"
