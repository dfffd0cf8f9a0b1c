"""
Practitioner and PractitionerRole as resource tables (FHIR R4, 8.4 and 8.5).
"""

from typing import Any, Final

from fhir_gateway.fhir.practitioner import (
    practitioner_from_performer,
    practitioner_role_from_performer,
)
from fhir_gateway.fhir.resource_table import ResourceTable
from fhir_gateway.fhir.search_element import ReferenceElement, StringElement
from fhir_gateway.web.directory.elements import (
    R4,
    active_element,
    all_rows,
    hsa_id,
    identifier_element,
    source_element,
    spelling_of,
    targets,
    texts,
)
from fhir_gateway.web.directory.world import DirectoryWorld, Role, StaffMember

__all__ = ["PRACTITIONER", "PRACTITIONER_ROLE"]

_Resource = dict[str, Any]

# Practitioner: a member of staff who has times.


def _names(row: StaffMember) -> tuple[str, ...]:
    performer = row.performer
    parts: tuple[str, ...] = ()
    if performer is not None:
        parts = texts(performer.last_name, performer.first_name, performer.title)
    return parts or texts(row.display)


def _member(world: DirectoryWorld, identifier: str) -> StaffMember | None:
    found = hsa_id(identifier)
    return world.member(found) if found else None


PRACTITIONER: Final = ResourceTable[DirectoryWorld, StaffMember](
    type="Practitioner",
    elements=(
        identifier_element("Practitioner", lambda _, row: row.hsa_id),
        active_element("Practitioner"),
        StringElement(
            "name",
            lambda _, row: _names(row),
            definition=f"{R4}Practitioner-name",
            documentation="The family name, the given name or the title.",
        ),
        StringElement(
            "family",
            lambda _, row: texts(row.family),
            definition=f"{R4}individual-family",
        ),
        StringElement(
            "given",
            lambda _, row: texts(row.given),
            definition=f"{R4}individual-given",
        ),
        source_element(lambda _, row: row.source),
    ),
    candidates=all_rows(lambda world: world.rows.staff),
    row=_member,
    id=lambda _, row: row.hsa_id,
    order=lambda _, row: (row.hsa_id,),
    sorts={
        "_id": lambda _, row: row.hsa_id,
        "name": lambda _, row: " ".join(_names(row)),
        "family": lambda _, row: row.family or "",
        "given": lambda _, row: row.given or "",
    },
    render=lambda world, row: practitioner_from_performer(
        row.performer,
        row.hsa_id,
        display=row.display,
        source=row.source,
        vocabulary=world.vocabulary,
    ),
    spelling=spelling_of("Practitioner"),
    refused={
        "address": "no source gives the addresses of staff",
        "address-city": "no source gives the addresses of staff",
        "address-country": "no source gives the addresses of staff",
        "address-postalcode": "no source gives the addresses of staff",
        "address-state": "no source gives the addresses of staff",
        "address-use": "no source gives the addresses of staff",
        "communication": "no source says it",
        "email": "no source gives it",
        "gender": "no source says it",
        "phone": "no source gives it",
        "phonetic": "there is no phonetic index; use name",
        "telecom": "no source gives it",
    },
)


# PractitionerRole: a member of staff at a unit.


def _services_of(world: DirectoryWorld, row: Role) -> list[str]:
    return sorted({world.snapshot.offering_of(each) for each in row.schedules})


def _render_role(world: DirectoryWorld, row: Role) -> _Resource:
    first = world.snapshot.numbered(row.schedules[0])
    return practitioner_role_from_performer(
        row.performer,
        row.unit,
        display=first.schedule.performer_name,
        services=_services_of(world, row),
        source=first.source,
        vocabulary=world.vocabulary,
    )


PRACTITIONER_ROLE: Final = ResourceTable[DirectoryWorld, Role](
    type="PractitionerRole",
    elements=(
        active_element("PractitionerRole"),
        ReferenceElement(
            "practitioner",
            lambda _, row: (f"Practitioner/{row.performer}",),
            targets=targets("Practitioner"),
            definition=f"{R4}PractitionerRole-practitioner",
        ),
        ReferenceElement(
            "location",
            lambda _, row: (f"Location/{row.unit}",),
            targets=targets("Location"),
            definition=f"{R4}PractitionerRole-location",
            documentation="The unit, by its HSA-id.",
        ),
        ReferenceElement(
            "service",
            lambda world, row: (
                f"HealthcareService/{each}" for each in _services_of(world, row)
            ),
            targets=targets("HealthcareService"),
            definition=f"{R4}PractitionerRole-service",
            documentation="A unit's time type.",
        ),
        source_element(
            lambda world, row: world.snapshot.directory.units[row.unit].source
        ),
    ),
    candidates=all_rows(lambda world: world.rows.roles),
    row=lambda world, identifier: world.role(identifier),
    id=lambda _, row: row.id,
    order=lambda _, row: (row.id,),
    sorts={"_id": lambda _, row: row.id},
    render=_render_role,
    refused={
        "date": "no source says it",
        "email": "no source gives it",
        "endpoint": "roles have no endpoints",
        "identifier": "roles have no identifier; use practitioner.identifier",
        "organization": "use location.organization",
        "phone": "no source gives it",
        "role": "no source says it",
        "specialty": "use service.service-type",
        "telecom": "no source gives it",
    },
)
