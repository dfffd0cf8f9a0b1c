"""
Loads the trusted issuers and the known clients from one TOML file.

`docs/configuration.md` describes it. The program does not start with a faulty file; the
error lists all faults.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from marshmallow import Schema, ValidationError

from fhir_gateway.access.issuer_schema import ClientSchema, IssuerSchema
from fhir_gateway.adapters.pem_file import pem_fault
from fhir_gateway.adapters.schema_fault import sentences_from_messages
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.principal import Role
from fhir_gateway.model.toml_file import UnreadableToml, WrongFile, read_toml

__all__ = [
    "ClaimNames",
    "Client",
    "Issuer",
    "TrustedIssuers",
    "WrongIssuers",
    "load_issuers",
]

_ISSUERS: Final = "issuer"
_CLIENTS: Final = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNames:
    """
    The names of an issuer's claims.

    Attributes:
        number: Those of a resident's number, in order of preference.
        number_level: How certain a coordination number is.
        staff: The HSA-id of an employee.
        assignment: The HSA-id of their assignment.
        purpose: The purpose of the assignment.
        unit: The HSA-id of its care unit.
        provider: The HSA-id of its care provider.
    """

    number: tuple[str, ...]
    number_level: str
    staff: str
    assignment: str
    purpose: str
    unit: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """
    Who vouches for principals.

    Attributes:
        issuer: Its name, exactly as in `iss`.
        jwks_uri: Where it publishes its keys.
        trust: A PEM file with the certificates to trust there; None for the usual ones.
        audience: Our name in `aud`.
        roles: The roles that its tokens may give.
        algorithms: The algorithms that it may sign with.
        acr: The levels of login that let in residents and staff.
        longest_token_s: The most seconds from `iat` to `exp`.
        claims: The names of its claims.
        authorization_endpoint: For clients that look for it.
        token_endpoint: For clients that look for it.
        introspection_endpoint: For clients that look for it.
    """

    issuer: str
    jwks_uri: str
    trust: Path | None
    audience: str
    roles: frozenset[Role]
    algorithms: tuple[str, ...]
    acr: frozenset[str]
    longest_token_s: int
    claims: ClaimNames
    authorization_endpoint: str | None
    token_endpoint: str | None
    introspection_endpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """
    A program with a role of its own (SMART App Launch 2.2, Backend Services).

    Attributes:
        issuer: The name of its issuer.
        id: Its `client_id` there.
        role: SYSTEM or OPERATOR.
        units: The prefixes of the HSA-ids of a system's own units.
        organisation: Whom a system acts for.
    """

    issuer: str
    id: str
    role: Role
    units: tuple[str, ...]
    organisation: HsaId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuers:
    """The issuers that this server trusts, and the clients that it knows."""

    issuers: tuple[Issuer, ...]
    clients: tuple[Client, ...]


class WrongIssuers(WrongFile):
    """The file of issuers cannot be used."""


def load_issuers(path: Path, *, audience: str) -> TrustedIssuers:
    """
    Return the issuers and clients of a file.

    Args:
        path: The file.
        audience: The audience where the file names none: the base URL of this server.

    Raises:
        WrongIssuers: The file is absent, is no TOML, or has a faulty setting.
    """
    try:
        document = read_toml(path)
    except UnreadableToml as error:
        raise WrongIssuers(path, [str(error)]) from error
    faults = [
        f"{key}: is no setting; the only tables are [[issuer]] and [[client]]"
        for key in document
        if key not in (_ISSUERS, _CLIENTS)
    ]
    if not document.get(_ISSUERS):
        faults.append("issuer: there is none; write a table [[issuer]]")
    issuers = _loaded(document, _ISSUERS, IssuerSchema(), faults)
    clients = _loaded(document, _CLIENTS, ClientSchema(), faults)
    faults.extend(_issuer_faults(issuers, path.parent))
    faults.extend(_client_faults(clients, issuers))
    if faults:
        raise WrongIssuers(path, faults)
    return TrustedIssuers(
        issuers=tuple(
            _issuer(data, path.parent, audience) for data in issuers.values()
        ),
        clients=tuple(map(_client, clients.values())),
    )


def _loaded(
    document: Mapping[str, Any], name: str, schema: Schema, faults: list[str]
) -> Mapping[int, Mapping[str, Any]]:
    """
    Return the tables by their number, each with the settings that are right.

    Args:
        document: The whole file.
        name: The name of the tables.
        schema: That of one table.
        faults: The faults are appended to it.
    """
    tables = document.get(name, [])
    if not isinstance(tables, list):
        faults.append(f"{name}: is no list of tables; write [[{name}]]")
        return {}
    loaded = {}
    for number, table in enumerate(tables, 1):
        if not isinstance(table, dict):
            faults.append(f"{name} {number}: is no table")
            continue
        try:
            loaded[number] = schema.load(table)
        except ValidationError as error:
            messages = error.messages_dict
            faults.extend(
                f"{name} {number}: {each}" for each in sentences_from_messages(messages)
            )
            # A fault of one setting hides no fault of the others.
            data = error.valid_data if isinstance(error.valid_data, dict) else {}
            loaded[number] = {key: data[key] for key in data if key not in messages}
    return loaded


def _issuer_faults(
    issuers: Mapping[int, Mapping[str, Any]], folder: Path
) -> Iterator[str]:
    seen: dict[str, int] = {}
    for number, data in issuers.items():
        if "issuer" in data:
            first = seen.setdefault(data["issuer"], number)
            if first != number:
                yield (
                    f"issuer {number}: issuer: has the same name as issuer {first}; an"
                    " issuer has one table"
                )
        trust = data.get("trust")
        if trust is not None and (fault := pem_fault("trust", str(folder / trust))):
            yield f"issuer {number}: trust: {fault}"


def _client_faults(
    clients: Mapping[int, Mapping[str, Any]], issuers: Mapping[int, Mapping[str, Any]]
) -> Iterator[str]:
    roles = {
        data["issuer"]: data.get("roles")
        for data in issuers.values()
        if "issuer" in data
    }
    seen: dict[tuple[str, str], int] = {}
    for number, data in clients.items():
        where = f"client {number}"
        issuer, role = data.get("issuer"), data.get("role")
        if issuer is not None and issuer not in roles:
            yield f"{where}: issuer: no [[issuer]] of this file has that name"
        elif issuer is not None and role is not None:
            permitted = roles[issuer]
            if permitted is not None and role not in permitted:
                yield f"{where}: role: {role} is not among the roles of its issuer"
        if issuer is not None and "id" in data:
            first = seen.setdefault((issuer, data["id"]), number)
            if first != number:
                yield f"{where}: id: is that of client {first} too; a client has one"
        yield from (f"{where}: {fault}" for fault in _scope_faults(data))


def _scope_faults(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with whom a client acts for."""
    match data.get("role"):
        case "system":
            if data.get("units") == ():
                yield "units: are missing; a system reaches its own units only"
            if "organisation" in data and data["organisation"] is None:
                yield "organisation: is missing; regions learn for whom a system asks"
        case "operator":
            if data.get("units"):
                yield "units: an operator has none"
            if data.get("organisation"):
                yield "organisation: an operator has none"


def _issuer(data: Mapping[str, Any], folder: Path, audience: str) -> Issuer:
    claims = data["claims"]
    return Issuer(
        issuer=data["issuer"],
        jwks_uri=data["jwks_uri"],
        trust=folder / data["trust"] if data["trust"] else None,
        audience=data["audience"] or audience,
        roles=frozenset(map(Role, data["roles"])),
        algorithms=tuple(data["algorithms"]),
        acr=frozenset(data["acr"]),
        longest_token_s=data["longest_token_s"],
        claims=ClaimNames(**{**claims, "number": tuple(claims["number"])}),
        authorization_endpoint=data["authorization_endpoint"],
        token_endpoint=data["token_endpoint"],
        introspection_endpoint=data["introspection_endpoint"],
    )


def _client(data: Mapping[str, Any]) -> Client:
    return Client(
        issuer=data["issuer"],
        id=data["id"],
        role=Role(data["role"]),
        units=tuple(data["units"]),
        organisation=data["organisation"],
    )
