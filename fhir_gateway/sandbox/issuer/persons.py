"""
The ready-made persons who can log in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from fhir_gateway.sandbox.issuer.scopes import USERS, directory_scopes
from fhir_gateway.sandbox.population_register import RESIDENTS, Resident

__all__ = ["DEMO_APP", "LEVEL", "PERSONS", "Person"]

LEVEL: Final = "http://id.elegnamnden.se/loa/1.0/loa3"
"""How certain each login is (`acr`)."""

DEMO_APP: Final = "demo-app"
"""The id of the program that the persons of the demo use."""

_NUMBER: Final = "https://id.oidc.se/claim/personalIdentityNumber"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Person:
    """
    A person who can log in.

    Attributes:
        key: The sandbox's own name of the person.
        name: What the login page shows.
        about: What is special about the person, in Swedish.
        claims: Those of an access token about the person.
        contexts: The contexts of the scopes that the person can grant.
        scopes: Those that are granted when a program asks for none.
    """

    key: str
    name: str
    about: str
    claims: Mapping[str, str]
    contexts: frozenset[str]
    scopes: frozenset[str]

    @property
    def subject(self) -> str:
        """Return `sub`: the same at each login, and no personal number."""
        return str(uuid5(NAMESPACE_OID, f"fhir-gateway-sandbox/{self.key}"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key={self.key!r})"


def _resident(resident: Resident) -> Person:
    return Person(
        key=resident.key,
        name=f"{resident.first_name} {resident.last_name}",
        about=resident.about,
        claims={
            "name": f"{resident.first_name} {resident.last_name}",
            "given_name": resident.first_name,
            "family_name": resident.last_name,
            "acr": LEVEL,
            _NUMBER: resident.number.reveal(),
        },
        contexts=USERS,
        scopes=directory_scopes("patient", "Appointment.crus", "AuditEvent.rs")
        | {"openid", "profile"},
    )


# The claims of Inera's IdP for a nurse of 1177 på telefon, by her assignment.
_NURSE: Final = Person(
    key="nurse",
    name="Sigrid Provsson",
    about="sjuksköterska, 1177 på telefon i Region Norr",
    claims={
        "name": "Sigrid Provsson",
        "given_name": "Sigrid",
        "family_name": "Provsson",
        "acr": LEVEL,
        "employeeHsaId": "SE2321009901-117701",
        "commissionHsaId": "SE2321009901-117702",
        "commissionName": "1177 på telefon",
        "commissionPurpose": "Vård och behandling",
        "healthCareUnitHsaId": "SE2321009901-1177",
        "healthCareUnitName": "1177 på telefon, Region Norr",
        "healthCareProviderHsaId": "SE2321009901-0000",
    },
    contexts=frozenset({"user"}),
    scopes=directory_scopes("user", "Appointment.c") | {"openid", "profile"},
)

PERSONS: Final[Mapping[str, Person]] = MappingProxyType(
    {each.key: each for each in (*map(_resident, RESIDENTS), _NURSE)}
)
"""Who can log in, by key."""
