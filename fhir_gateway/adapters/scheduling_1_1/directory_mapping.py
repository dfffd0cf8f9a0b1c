"""
Maps units, staff, time types and care types from the contract's types to the model.

An impossible value raises `MalformedElement` with the name of the element, never with
the value.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from fhir_gateway.adapters.protocol import CareType
from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import (
    HsaId,
    PerformerId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.timeslot import (
    TimeType,
)
from fhir_gateway.rivta.envelope import ContractAnswer
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.types import (
    CareTypeType,
    HealthcareFacilityInfoType,
    PerformerInfoType,
    TimeTypeType,
)

__all__ = [
    "care_type_from_wire",
    "care_unit_from_wire",
    "performer_info_from_wire",
    "read_list",
    "time_type_from_wire",
    "unit_from_wire",
]

# Characters of the code that TakeCare writes for a kind of resource.
_LONGEST_KIND: Final = 2

Wire = TypeVar("Wire")
Item = TypeVar("Item")


def unit_from_wire(text: str) -> HsaId:
    """Return a unit's HSA-id."""
    try:
        return HsaId(text)
    except ValueError as error:
        raise MalformedElement("healthcare_facility", str(error)) from None


def read_list(
    answer: ContractAnswer,
    element: str,
    wires: Iterable[Wire],
    item_from_wire: Callable[[Wire], Item | None],
    *,
    identity: tuple[str, Callable[[Item], object]] | None = None,
) -> Listed[Item]:
    """
    Return the list in an answer, with the faults of the items that are left out.

    Args:
        answer: The answer.
        element: The name of each item of the list.
        wires: The items, as the contract's types.
        item_from_wire: Maps an item; it returns None for one that is no part of the
            list. An item for which it raises `MalformedElement` is left out; the fault
            has its position.
        identity: The name of the identifying element, and a function that returns an
            item's identity. The first item of an identity stays; each later one that
            differs from it counts as a fault.
    """
    rejected = answer.faults
    items = []
    first: dict[object, Item] = {}
    for place, wire in enumerate(wires, start=1):
        try:
            item = item_from_wire(wire)
        except MalformedElement as error:
            rejected.append(str(error.inside(f"{element}[{place}]")))
            continue
        if item is None:
            continue
        if identity is not None:
            name, of = identity
            known = first.setdefault(of(item), item)
            if known is not item:
                if known != item:
                    rejected.append(
                        f"{element}/{name}: occurs again, with another name"
                    )
                continue
        items.append(item)
    return Listed(tuple(items), tuple(rejected))


def time_type_from_wire(wire: TimeTypeType) -> TimeType:
    """Return a time type; without a name its id is the name."""
    return TimeType(
        id=TimeTypeId(wire.time_type_id), name=wire.time_type_name or wire.time_type_id
    )


def care_type_from_wire(wire: CareTypeType) -> CareType:
    """Return a care type; without a name its id is the name."""
    return wire.care_type_id, wire.care_type_name or wire.care_type_id


def performer_info_from_wire(wire: PerformerInfoType) -> Performer | None:
    """
    Return a member of staff; None for a room or a team.

    What has both names and a longer id than a kind of resource has (`1`) is a person.
    A person is known here by an HSA-id alone, so one with another id cannot be kept.
    """
    hsa_id = PerformerId(wire.performer).hsa_id
    if hsa_id is None:
        has_names = bool(wire.first_name and wire.last_name)
        is_kind = len(wire.performer.strip()) <= _LONGEST_KIND
        if "-" in wire.performer or (has_names and not is_kind):
            raise MalformedElement("perfomer", "not an HSA-id")
        return None
    return Performer(
        hsa_id=hsa_id,
        first_name=wire.first_name,
        last_name=wire.last_name,
        title=wire.title,
    )


def care_unit_from_wire(
    wire: HealthcareFacilityInfoType, source: SourceName
) -> CareUnit:
    """Return a unit; without a name its id is the name."""
    return CareUnit(
        hsa_id=unit_from_wire(wire.healthcare_facility),
        name=wire.healthcare_facility_name or wire.healthcare_facility,
        source=source,
    )
