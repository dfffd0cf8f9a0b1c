"""
Which role a verified token gives, and to whom.
"""

from collections.abc import Mapping
from typing import Any, Final

from fhir_gateway.access.issuers import Client
from fhir_gateway.access.token import Token
from fhir_gateway.model.errors import NotPermitted, Unauthenticated
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import NumberKind, PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Purpose, Role, StaffMember

__all__ = ["Clients", "principal_from_token"]

Clients = Mapping[tuple[str, str], Client]
"""The known clients by issuer and `client_id`."""

_CARE: Final = "Vård och behandling"
_CERTAIN: Final = frozenset({"confirmed", "probable"})
_PURPOSES: Final = {
    Role.SYSTEM: Purpose.CARE_MANAGEMENT,
    Role.OPERATOR: Purpose.OPERATIONS,
}


def principal_from_token(token: Token, clients: Clients) -> Principal:
    """
    Return the principal of a token.

    A token with a number, or of an employee, is that person's: it never gives the role
    of the program, with any scope.

    Raises:
        Unauthenticated: A claim about the person has a wrong form.
        NotPermitted: The token gives no role.
    """
    names = token.issuer.claims
    # Some issuers write null for what they do not know.
    numbers = [name for name in names.number if token.claims.get(name) is not None]
    if token.claims.get(names.staff) is not None:
        return _staff(token)
    if numbers:
        return _resident(token, numbers)
    client = clients.get((token.issuer.issuer, token.client))
    if client is not None and any(each.startswith("system/") for each in token.scopes):
        return Principal(
            role=client.role,
            issuer=client.issuer,
            client=client.id,
            user=token.user,
            purpose=_PURPOSES[client.role],
            scopes=token.scopes,
            units=client.units,
            organisation=client.organisation,
        )
    raise NotPermitted(
        "The access token is valid, but it names neither a person nor a system that is"
        " known here."
    )


def _staff(token: Token) -> Principal:
    _check_role(token, Role.STAFF)
    names, claims = token.issuer.claims, token.claims
    needed = (names.assignment, names.unit, names.provider, names.purpose)
    if any(claims.get(name) is None for name in needed):
        raise NotPermitted(
            "The access token of an employee needs an assignment with its care unit,"
            " care provider and purpose: choose one at login."
        )
    if _claim(claims, names.purpose) != _CARE:
        raise NotPermitted(f"The purpose of the assignment must be {_CARE!r}.")
    return Principal(
        role=Role.STAFF,
        issuer=token.issuer.issuer,
        client=token.client,
        user=token.user,
        purpose=Purpose.TREATMENT,
        scopes=token.scopes,
        staff=StaffMember(
            hsa_id=_hsa_id(claims, names.staff),
            assignment=_hsa_id(claims, names.assignment),
            unit=_hsa_id(claims, names.unit),
            provider=_hsa_id(claims, names.provider),
        ),
    )


def _resident(token: Token, numbers: list[str]) -> Principal:
    _check_role(token, Role.RESIDENT)
    given = {_number(token.claims, name) for name in numbers}
    if len(given) != 1:
        raise _wrong_form()
    number = given.pop()
    level = token.issuer.claims.number_level
    if (
        number.kind is NumberKind.SAMORDNINGSNUMMER
        and token.claims.get(level) is not None
        and _claim(token.claims, level) not in _CERTAIN
    ):
        raise NotPermitted("The identity behind the coordination number is uncertain.")
    return Principal(
        role=Role.RESIDENT,
        issuer=token.issuer.issuer,
        client=token.client,
        user=token.user,
        purpose=Purpose.PATIENT_REQUEST,
        scopes=token.scopes,
        number=number,
    )


def _check_role(token: Token, role: Role) -> None:
    if role not in token.issuer.roles:
        raise NotPermitted("The issuer of the access token may not give this role.")
    if _claim(token.claims, "acr") not in token.issuer.acr:
        raise NotPermitted("The level of the login is too low: log in anew.")


def _number(claims: Mapping[str, Any], name: str) -> PersonalIdentityNumber:
    try:
        return PersonalIdentityNumber(_claim(claims, name))
    except ValueError as error:
        raise _wrong_form() from error


def _hsa_id(claims: Mapping[str, Any], name: str) -> HsaId:
    try:
        return HsaId(_claim(claims, name))
    except ValueError as error:
        raise _wrong_form() from error


def _claim(claims: Mapping[str, Any], name: str) -> str:
    """Return a text, empty where there is none."""
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong_form()
    return value


def _wrong_form() -> Unauthenticated:
    return Unauthenticated("A claim of the access token has a wrong form.")
