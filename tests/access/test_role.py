"""
Which role a token gives: residents, staff, systems, operators, and nobody.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from access_tokens import (
    AT,
    CLAIMS,
    ISSUER,
    NORR,
    NURSE,
    RESIDENT,
    SYSTEM,
    issuer,
    key_set,
    signed,
)

from fhir_gateway.access.issuers import Client, Issuer
from fhir_gateway.access.role import principal_from_token
from fhir_gateway.access.token import verified_token
from fhir_gateway.model.errors import GatewayError, NotPermitted, Unauthenticated
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Purpose, Role, StaffMember

NUMBER = "https://id.oidc.se/claim/personalIdentityNumber"
COORDINATION = "https://id.oidc.se/claim/coordinationNumber"
LEVEL = "https://id.oidc.se/claim/coordinationNumberLevel"
OPERATOR = Client(
    issuer=ISSUER, id="drift", role=Role.OPERATOR, units=(), organisation=None
)
CLIENTS = {(each.issuer, each.id): each for each in (NORR, OPERATOR)}

WRONG_FORM = "A claim of the access token has a wrong form."
NOBODY = (
    "The access token is valid, but it names neither a person nor a system that is"
    " known here."
)
NO_ASSIGNMENT = (
    "The access token of an employee needs an assignment with its care unit, care"
    " provider and purpose: choose one at login."
)
LOW = "The level of the login is too low: log in anew."
NOT_GIVEN = "The issuer of the access token may not give this role."


def principal(claims: Mapping[str, Any], of: Issuer | None = None) -> Principal:
    """Return who a token is; a claim of `...` is left out."""
    token = signed({name: claims[name] for name in claims if claims[name] is not ...})
    keys = key_set(of)
    return principal_from_token(
        verified_token(token, {ISSUER: keys}, int(AT.timestamp())), CLIENTS
    )


def fault_of(
    claims: Mapping[str, Any], of: Issuer | None = None
) -> tuple[type[GatewayError], str]:
    """Return how a token is refused."""
    with pytest.raises(GatewayError) as raised:
        principal(claims, of)
    return type(raised.value), str(raised.value)


def test_a_number_is_a_resident() -> None:
    """Who logged in with an e-id acts for themselves."""
    result = principal(RESIDENT)

    assert result == Principal(
        role=Role.RESIDENT,
        issuer=ISSUER,
        client="app",
        user="subject-1",
        purpose=Purpose.PATIENT_REQUEST,
        scopes=frozenset({"patient/Appointment.cruds"}),
        number=PersonalIdentityNumber("191212121212"),
    )


@pytest.mark.parametrize("more", [{}, {NUMBER: "191212121212"}], ids=["", "a number"])
def test_an_employee_is_staff(more: dict[str, str]) -> None:
    """An employee with an assignment is staff, also with a number of their own."""
    result = principal({**NURSE, **more})

    assert result == Principal(
        role=Role.STAFF,
        issuer=ISSUER,
        client="app",
        user="subject-1",
        purpose=Purpose.TREATMENT,
        scopes=frozenset({"user/Appointment.c"}),
        staff=StaffMember(
            hsa_id=HsaId("SE2321000016-1001"),
            assignment=HsaId("SE2321000016-2002"),
            unit=HsaId("SE2321000016-A01"),
            provider=HsaId("SE2321000016-0000"),
        ),
    )


def test_a_known_client_with_system_scopes_is_a_system() -> None:
    """A region's own system reaches the units in the file of issuers, and no others."""
    result = principal(SYSTEM)

    assert result == Principal(
        role=Role.SYSTEM,
        issuer=ISSUER,
        client="region-norr",
        user="region-norr",
        purpose=Purpose.CARE_MANAGEMENT,
        scopes=frozenset({"system/Appointment.rs"}),
        units=("SE2321000016",),
        organisation=HsaId("SE2321000016-0000"),
    )


def test_an_operator_is_one_by_the_file_of_issuers() -> None:
    """Who runs the server has no person's data, and no units."""
    result = principal({**SYSTEM, "client_id": "drift", "sub": "drift"})

    assert result == Principal(
        role=Role.OPERATOR,
        issuer=ISSUER,
        client="drift",
        user="drift",
        purpose=Purpose.OPERATIONS,
        scopes=frozenset({"system/Appointment.rs"}),
    )


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param(CLAIMS, id="no more than a valid token"),
        pytest.param({**SYSTEM, "client_id": "unknown"}, id="an unknown client"),
        pytest.param({**SYSTEM, "scope": "user/Appointment.rs"}, id="no system scope"),
        pytest.param({**SYSTEM, "scope": ...}, id="no scope"),
        pytest.param({**SYSTEM, "scope": "xsystem/Slot.rs"}, id="a scope like it"),
        pytest.param({**RESIDENT, NUMBER: None}, id="a number of null"),
        pytest.param({**NURSE, "employeeHsaId": None}, id="an employee of null"),
        pytest.param({**NURSE, "employeeHsaId": ...}, id="an assignment of nobody"),
    ],
)
def test_a_token_that_names_nobody_gives_nothing(claims: dict[str, Any]) -> None:
    """A valid token of nobody who is known here is 403."""
    assert fault_of(claims) == (NotPermitted, NOBODY)


@pytest.mark.parametrize("role", [NORR, OPERATOR])
@pytest.mark.parametrize("person", [RESIDENT, NURSE])
def test_a_person_never_has_the_role_of_a_program(
    person: Mapping[str, Any], role: Client
) -> None:
    """A person who uses a region's program, with its scopes, stays that person."""
    result = principal({**person, "client_id": role.id, "scope": "system/*.cruds"})

    assert result.role is principal(person).role
    assert (result.units, result.organisation) == ((), None)


@pytest.mark.parametrize("name", ["Assignment", "purpose", "unit", "provider"])
@pytest.mark.parametrize("value", [..., None])
def test_staff_need_a_whole_assignment(name: str, value: object) -> None:
    """An employee who chose no assignment is 403."""
    claim = {
        "Assignment": "commissionHsaId",
        "purpose": "commissionPurpose",
        "unit": "healthCareUnitHsaId",
        "provider": "healthCareProviderHsaId",
    }[name]

    assert fault_of({**NURSE, claim: value}) == (NotPermitted, NO_ASSIGNMENT)


@pytest.mark.parametrize(
    "purpose", ["Administration", "vård och behandling", "Vård och behandling ", ""]
)
def test_staff_need_the_purpose_of_care(purpose: str) -> None:
    """Any other purpose of an assignment is 403."""
    assert fault_of({**NURSE, "commissionPurpose": purpose}) == (
        NotPermitted,
        "The purpose of the assignment must be 'Vård och behandling'.",
    )


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({**NURSE, name: value}, id=f"{name} {value!r}"[:60])
        for name in (
            *("employeeHsaId", "commissionHsaId", "healthCareUnitHsaId"),
            *("healthCareProviderHsaId", "commissionPurpose"),
        )
        for value in (7, ["SE2321000016-1001"], {}, True)
    ]
    + [
        pytest.param({**NURSE, "employeeHsaId": value}, id=repr(value)[:60])
        for value in ("", "SE 1", "å", "a" * 32, "SE1\nSE2", "SE2321000016/../x")
    ]
    + [
        pytest.param({**RESIDENT, NUMBER: value}, id=repr(value)[:60])
        for value in (
            *(191212121212, ["191212121212"], {}, True, "", "1212121212"),
            *("19121212-1212", "191212121213", "191213121212", "١٩١٢١٢١٢١٢١٢"),
            *("191212121212 ", "191212121212\n", "98240301AA06", "1" * 4000),
        )
    ]
    + [
        pytest.param({**RESIDENT, "acr": 7}, id="a level that is a number"),
        pytest.param({**RESIDENT, "acr": [RESIDENT["acr"]]}, id="a list of levels"),
        pytest.param({**RESIDENT, COORDINATION: "196109732393"}, id="two numbers"),
    ],
)
def test_a_claim_about_a_person_of_a_wrong_form_is_refused(
    claims: dict[str, Any],
) -> None:
    """What cannot be read is 401, and the answer repeats nothing of it."""
    assert fault_of(claims) == (Unauthenticated, WRONG_FORM)


@pytest.mark.parametrize("person", [RESIDENT, NURSE])
@pytest.mark.parametrize(
    "acr", [..., None, "", "http://id.elegnamnden.se/loa/1.0/loa2", "LOA3"]
)
def test_a_person_needs_a_high_level_of_login(
    person: Mapping[str, Any], acr: object
) -> None:
    """Residents and staff below level 3 are 403."""
    assert fault_of({**person, "acr": acr}) == (NotPermitted, LOW)


@pytest.mark.parametrize(
    ("claims", "role"), [(RESIDENT, Role.RESIDENT), (NURSE, Role.STAFF)]
)
def test_an_issuer_gives_its_own_roles_only(
    claims: Mapping[str, Any], role: Role
) -> None:
    """A role that the file of issuers does not list is 403."""
    others = issuer().roles - {role}

    assert fault_of(claims, issuer(roles=others)) == (NotPermitted, NOT_GIVEN)


@pytest.mark.parametrize("name", [NUMBER, COORDINATION])
@pytest.mark.parametrize("level", [..., None, "confirmed", "probable"])
def test_a_coordination_number_is_a_resident(name: str, level: object) -> None:
    """A coordination number that is not uncertain lets its owner in."""
    claims = {**RESIDENT, NUMBER: ..., LEVEL: level, name: "196109732393"}

    assert principal(claims).number == PersonalIdentityNumber("196109732393")


@pytest.mark.parametrize("name", [NUMBER, COORDINATION])
@pytest.mark.parametrize("level", ["uncertain", "Confirmed", "other", ""])
def test_an_uncertain_coordination_number_is_nobody(name: str, level: str) -> None:
    """A coordination number with an uncertain identity behind it is 403."""
    claims = {**RESIDENT, NUMBER: ..., LEVEL: level, name: "196109732393"}

    assert fault_of(claims) == (
        NotPermitted,
        "The identity behind the coordination number is uncertain.",
    )


def test_the_level_of_another_number_does_not_matter() -> None:
    """A personal number has no level."""
    result = principal({**RESIDENT, LEVEL: "uncertain"})

    assert result.number == PersonalIdentityNumber("191212121212")


def test_one_number_in_two_claims_is_one() -> None:
    """An issuer may write the same number twice."""
    result = principal({**RESIDENT, COORDINATION: "191212121212"})

    assert result.number == PersonalIdentityNumber("191212121212")


def test_an_issuer_may_name_its_claims() -> None:
    """The names of claims are those of the file of issuers."""
    own = issuer()
    own = replace(own, claims=replace(own.claims, number=("pnr",)))

    assert principal({**CLAIMS, "pnr": "191212121212", "acr": RESIDENT["acr"]}, own)
    assert fault_of(RESIDENT, own) == (NotPermitted, NOBODY)
