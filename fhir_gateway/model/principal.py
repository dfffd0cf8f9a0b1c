"""
Principals: who asks this server, for what purpose, and with which program.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["Principal", "Purpose", "Role", "StaffMember"]


# A client_id that may stand in statistics: at most 100 characters, a letter in it, and
# no run of digits that may be a personal number.
_CHANNEL: Final = re.compile(
    r"(?=.*[A-Za-z])(?!.*[0-9]{6})[A-Za-z0-9._:/@+\-]{1,100}", re.ASCII
)


class Role(Enum):
    """
    What a principal is to the bookings.

    ANYBODY: a request without a token.
    RESIDENT: a person who logged in, for their own bookings or a child's.
    STAFF: an employee who books for a resident on the phone.
    SYSTEM: a region's own system, at the units of that region.
    OPERATOR: who runs this server; sees no person's data.
    INDEX: the engagement index, which notifies of posts, and reads nothing.
    DEMO: any request to a server that was started with `--open-demo`.
    """

    ANYBODY = "anybody"
    RESIDENT = "resident"
    STAFF = "staff"
    SYSTEM = "system"
    OPERATOR = "operator"
    INDEX = "index"
    DEMO = "demo"


class Purpose(Enum):
    """Why somebody asks: codes of HL7's PurposeOfUse (v3-ActReason)."""

    PATIENT_REQUEST = "PATRQT"
    TREATMENT = "TREAT"
    CARE_MANAGEMENT = "CAREMGT"
    OPERATIONS = "HOPERAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffMember:
    """
    An employee with a current assignment (`medarbetaruppdrag`).

    Attributes:
        hsa_id: The employee's HSA-id.
        assignment: The HSA-id of the assignment.
        unit: The HSA-id of the care unit of the assignment.
        provider: The HSA-id of the care provider.
    """

    hsa_id: HsaId
    assignment: HsaId
    unit: HsaId
    provider: HsaId


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Principal:
    """
    Who asks.

    Attributes:
        role: Which rows of the policy are about it.
        issuer: Who vouches for it; empty without a token.
        client: The program that asks, as its issuer names it (`client_id`).
        user: The person who uses the program, as the issuer names them (`sub`).
        purpose: Why it asks.
        scopes: The SMART scopes of its token; see `access/scope.py`.
        number: The personal number of a resident.
        staff: The employee, with the assignment that they act under.
        units: The prefixes of the HSA-ids of a regional system's own units.
        organisation: The HSA-id of the organisation that a client acts for.
    """

    role: Role
    issuer: str = ""
    client: str = ""
    user: str = ""
    purpose: Purpose = Purpose.PATIENT_REQUEST
    scopes: frozenset[str] = frozenset()
    number: PersonalIdentityNumber | None = None
    staff: StaffMember | None = None
    units: tuple[str, ...] = ()
    organisation: HsaId | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(role={self.role.value})"

    @property
    def key(self) -> str:
        """
        Return a text that is the same for the same person with the same program.

        Two principals' request keys have nothing to do with each other.
        """
        return f"{self.role.value}\n{self.issuer}\n{self.client}\n{self.user}"

    @property
    def client_key(self) -> str:
        """Return a text that is the same for the same program, for all its users."""
        return f"{self.issuer}\n{self.client}"

    @property
    def limited_as(self) -> str:
        """
        Return a text that is the same for requests that share limits.

        Persons may all use one program: one of them must not use up the others' share.
        """
        if self.role in (Role.RESIDENT, Role.STAFF):
            return self.key
        return f"{self.role.value}\n{self.client_key}"

    @property
    def channel(self) -> str:
        """
        Return the program that asks, as statistics name it; it names no person.

        It is the `client_id`, or the role where there is none. An unusual one, which an
        issuer may have made of something else, is "other".
        """
        if not self.client:
            return f"({self.role.value})"
        return self.client if _CHANNEL.fullmatch(self.client) else "other"

    def is_at(self, unit: HsaId) -> bool:
        """Return whether a unit is one of a regional system's own."""
        return unit.startswith(self.units) if self.units else False
