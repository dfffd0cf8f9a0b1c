"""
Location and Organization as resource tables (FHIR R4, 8.7 and 8.6).
"""

from collections.abc import Iterator
from typing import Final

from fhir_gateway.fhir.care_unit import (
    location_from_unit,
    organization_from_unit,
    providing_organization,
)
from fhir_gateway.fhir.near import NearParameter
from fhir_gateway.fhir.resource_table import ResourceTable
from fhir_gateway.fhir.search_element import (
    Coded,
    Element,
    Fits,
    ReferenceElement,
    SpecialElement,
    StringElement,
    TokenElement,
)
from fhir_gateway.fhir.vocabulary import LOCATION_STATUS
from fhir_gateway.model.care_unit import CareUnit, Nearness
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
from fhir_gateway.web.directory.world import DirectoryWorld, Provider

__all__ = ["LOCATION", "ORGANIZATION"]

# Location: a unit.


def _unit(world: DirectoryWorld, identifier: str) -> CareUnit | None:
    found = hsa_id(identifier)
    return world.snapshot.directory.units.get(found) if found else None


def _is_near(
    world: DirectoryWorld, groups: tuple[tuple[Nearness, ...], ...]
) -> Fits[CareUnit]:
    near = [world.snapshot.index.units_near(places) for places in groups]
    return lambda unit: all(unit.hsa_id in units for units in near)


def _postal_codes(unit: CareUnit) -> tuple[str, ...]:
    # People write 123 45 and 12345.
    code = unit.postal_code or ""
    return texts(code, code.replace(" ", "") if " " in code else None)


def _country(unit: CareUnit) -> tuple[str, ...]:
    has_address = unit.street or unit.city or unit.postal_code
    return ("SE",) if has_address else ()


def _location_elements() -> Iterator[Element[DirectoryWorld, CareUnit]]:
    yield identifier_element("Location", lambda _, unit: unit.hsa_id)
    yield StringElement(
        "name", lambda _, unit: texts(unit.name), definition=f"{R4}Location-name"
    )
    yield TokenElement(
        "status",
        lambda _, __: (Coded(LOCATION_STATUS, "active"),),
        definition=f"{R4}Location-status",
        documentation="What is in the directory is active.",
        codes=("active", "suspended", "inactive"),
        system=LOCATION_STATUS,
    )
    yield StringElement(
        "address",
        lambda _, unit: (
            *texts(unit.street, unit.city),
            *_postal_codes(unit),
            *_country(unit),
        ),
        definition=f"{R4}Location-address",
        documentation="The street, the city, the postal code or the country.",
    )
    yield StringElement(
        "address-city",
        lambda _, unit: texts(unit.city),
        definition=f"{R4}Location-address-city",
    )
    yield StringElement(
        "address-country",
        lambda _, unit: _country(unit),
        definition=f"{R4}Location-address-country",
    )
    yield StringElement(
        "address-postalcode",
        lambda _, unit: _postal_codes(unit),
        definition=f"{R4}Location-address-postalcode",
        documentation="With or without its blank.",
    )
    yield SpecialElement(
        "near",
        lambda _, unit: () if unit.position is None else (unit.position,),
        parameter=NearParameter(
            definition=f"{R4}Location-near",
            documentation=(
                "The unit lies within a distance: latitude|longitude|distance|unit, in"
                " km by default (or m, [mi_us], [mi_i]); 20 km without a distance."
            ),
        ),
        fits=_is_near,
    )
    yield ReferenceElement(
        "organization",
        lambda _, unit: (f"Organization/{providing_organization(unit)}",),
        targets=targets("Organization"),
        definition=f"{R4}Location-organization",
        documentation="Who provides the care, by HSA-id.",
    )
    yield source_element(lambda _, unit: unit.source)


LOCATION: Final = ResourceTable[DirectoryWorld, CareUnit](
    type="Location",
    elements=tuple(_location_elements()),
    candidates=all_rows(lambda world: world.rows.units),
    row=_unit,
    id=lambda _, unit: unit.hsa_id,
    order=lambda _, unit: (unit.name, unit.hsa_id),
    sorts={
        "_id": lambda _, unit: unit.hsa_id,
        "name": lambda _, unit: unit.name,
        "address-city": lambda _, unit: unit.city or "",
        "address-postalcode": lambda _, unit: unit.postal_code or "",
    },
    render=lambda world, unit: location_from_unit(unit, world.vocabulary),
    spelling=spelling_of("Location"),
    refused={
        "address-state": "Swedish addresses have none",
        "address-use": "no source says it",
        "endpoint": "units have no endpoints",
        "operational-status": "no source says it",
        "partof": "no source says it",
        "type": "no source says it",
    },
)


# Organization: who provides the care.


def _provider(world: DirectoryWorld, identifier: str) -> Provider | None:
    found = hsa_id(identifier)
    unit = world.snapshot.directory.providers.get(found) if found else None
    if found is None or unit is None:
        return None
    return Provider(hsa_id=found, name=unit.organization_name or unit.name, unit=unit)


ORGANIZATION: Final = ResourceTable[DirectoryWorld, Provider](
    type="Organization",
    elements=(
        identifier_element("Organization", lambda _, row: row.hsa_id),
        StringElement(
            "name",
            lambda _, row: texts(row.name),
            definition=f"{R4}Organization-name",
        ),
        active_element("Organization"),
        source_element(lambda _, row: row.unit.source),
    ),
    candidates=all_rows(lambda world: world.rows.providers),
    row=_provider,
    id=lambda _, row: row.hsa_id,
    order=lambda _, row: (row.name, row.hsa_id),
    sorts={"_id": lambda _, row: row.hsa_id, "name": lambda _, row: row.name},
    render=lambda world, row: organization_from_unit(
        row.hsa_id, row.name, row.unit, world.vocabulary
    ),
    spelling=spelling_of("Organization"),
    refused={
        "address": "no source gives their addresses; search Location",
        "address-city": "no source gives their addresses; search Location",
        "address-country": "no source gives their addresses; search Location",
        "address-postalcode": "no source gives their addresses; search Location",
        "address-state": "no source gives their addresses; search Location",
        "address-use": "no source gives their addresses; search Location",
        "endpoint": "organisations have no endpoints",
        "partof": "no source says it",
        "phonetic": "there is no phonetic index; use name",
        "type": "no source says it",
    },
)
