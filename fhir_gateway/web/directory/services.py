"""
HealthcareService and Schedule as resource tables (FHIR R4, 8.8 and 12.9).
"""

from collections.abc import Iterator
from typing import Any

from fhir_gateway.fhir.care_unit import (
    healthcare_service_from_time_type,
    providing_organization,
)
from fhir_gateway.fhir.practitioner import practitioner_role_id
from fhir_gateway.fhir.resource_table import ResourceTable
from fhir_gateway.fhir.search_element import (
    Coded,
    ReferenceElement,
    StringElement,
)
from fhir_gateway.fhir.slot import schedule_from_schedule
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.web.directory.elements import (
    R4,
    ServiceTypeElement,
    active_element,
    profile_element,
    service_type_codes,
    source_element,
    targets,
    texts,
)
from fhir_gateway.web.directory.selection import schedule_rows, service_rows
from fhir_gateway.web.directory.world import DirectoryWorld

__all__ = ["healthcare_service_table", "schedule_table"]

_Resource = dict[str, Any]

# HealthcareService: a unit's time type, by its number.


def _service(world: DirectoryWorld, identifier: str) -> int | None:
    return world.snapshot.index.number(identifier)


def _render_service(world: DirectoryWorld, number: int) -> _Resource:
    offering = world.snapshot.index.offering(number)
    return healthcare_service_from_time_type(
        offering.unit, offering.time_type, world.vocabulary
    )


def _unit_of(world: DirectoryWorld, number: int) -> CareUnit:
    return world.snapshot.index.offering(number).unit


def _name_of(world: DirectoryWorld, number: int) -> str:
    return world.snapshot.index.offering(number).time_type.name


def _token_of(world: DirectoryWorld, number: int) -> str:
    return world.snapshot.index.offering(number).token


def healthcare_service_table(
    terminology: Terminology | None,
) -> ResourceTable[DirectoryWorld, int]:
    """Return the table of HealthcareService."""
    return ResourceTable[DirectoryWorld, int](
        type="HealthcareService",
        elements=(
            active_element("HealthcareService"),
            ServiceTypeElement(
                "HealthcareService",
                lambda world, row: service_type_codes(
                    world,
                    world.snapshot.index.offering(row).time_type,
                    _unit_of(world, row).hsa_id,
                ),
                terminology,
            ),
            ReferenceElement(
                "location",
                lambda world, row: (f"Location/{_unit_of(world, row).hsa_id}",),
                targets=targets("Location"),
                definition=f"{R4}HealthcareService-location",
                documentation="The unit, by its HSA-id.",
            ),
            ReferenceElement(
                "organization",
                lambda world, row: (
                    f"Organization/{providing_organization(_unit_of(world, row))}",
                ),
                targets=targets("Organization"),
                # BaRS clients write the element's name instead of the parameter's.
                aliases=("providedBy",),
                definition=f"{R4}HealthcareService-organization",
                documentation="Who provides the care, by HSA-id.",
            ),
            StringElement(
                "name",
                lambda world, row: texts(_name_of(world, row)),
                definition=f"{R4}HealthcareService-name",
                documentation="What the unit calls the service.",
            ),
            source_element(lambda world, row: _unit_of(world, row).source),
            profile_element("healthcare-service"),
        ),
        candidates=service_rows,
        row=_service,
        id=_token_of,
        order=lambda world, row: (_unit_of(world, row).name, _token_of(world, row)),
        sorts={
            "_id": _token_of,
            "name": _name_of,
            "location": lambda world, row: _unit_of(world, row).name,
        },
        render=_render_service,
        refused={
            "characteristic": "no source says it",
            "coverage-area": "no source says it",
            "endpoint": "services have no endpoints",
            "identifier": "services have no identifier; use _id",
            "program": "no source says it",
            "service-category": "use service-type",
            "specialty": "use service-type",
        },
    )


# Schedule: the times of one performer or resource, by its number.


def _actors(world: DirectoryWorld, number: int) -> Iterator[str]:
    table = world.snapshot.schedules
    unit, performer = table.unit(number), table.performer(number)
    yield f"HealthcareService/{world.snapshot.offering_of(number)}"
    yield f"Location/{unit}"
    if performer is not None:
        yield f"PractitionerRole/{practitioner_role_id(unit, performer)}"
        yield f"Practitioner/{performer}"


def _schedule(world: DirectoryWorld, identifier: str) -> int | None:
    known = world.snapshot.known(identifier)
    return None if known is None else world.snapshot.schedules.number(identifier)


def _schedule_codes(world: DirectoryWorld, number: int) -> Iterator[Coded]:
    known = world.snapshot.numbered(number)
    return service_type_codes(world, world.time_type_of(known), known.schedule.unit)


def _render_schedule(world: DirectoryWorld, number: int) -> _Resource:
    known = world.snapshot.numbered(number)
    unit = world.snapshot.directory.units.get(known.schedule.unit)
    return schedule_from_schedule(
        known.schedule,
        world.time_type_of(known),
        unit_name=unit.name if unit else known.schedule.unit,
        source=known.source,
        answered_at=known.answered_at,
        vocabulary=world.vocabulary,
    )


def _rank_of(world: DirectoryWorld, number: int) -> tuple[str, str]:
    table = world.snapshot.schedules
    return f"{table.rank(number):08x}", table.token(number)


def schedule_table(
    terminology: Terminology | None,
) -> ResourceTable[DirectoryWorld, int]:
    """Return the table of Schedule."""
    return ResourceTable[DirectoryWorld, int](
        type="Schedule",
        elements=(
            active_element("Schedule"),
            ReferenceElement(
                "actor",
                _actors,
                targets=targets(
                    "HealthcareService", "Location", "Practitioner", "PractitionerRole"
                ),
                definition=f"{R4}Schedule-actor",
                documentation="The service, the unit, or the performer of the times.",
            ),
            ServiceTypeElement("Schedule", _schedule_codes, terminology),
            source_element(lambda world, row: world.snapshot.numbered(row).source),
            profile_element("schedule"),
        ),
        candidates=schedule_rows,
        row=_schedule,
        id=lambda world, row: world.snapshot.schedules.token(row),
        order=_rank_of,
        sorts={"_id": lambda world, row: world.snapshot.schedules.token(row)},
        render=_render_schedule,
        refused={
            "_lastUpdated": (
                "schedules have no meta.lastUpdated; the extension lastSourceSync says"
                " when the source last listed their times"
            ),
            "date": "no source says a planning horizon; search Slot by start",
            "identifier": "schedules have no identifier; use _id",
            "service-category": "use service-type",
            "specialty": "use service-type",
        },
    )
