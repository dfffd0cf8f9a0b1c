"""
What a unit lacks by its service catalogue, and what a resident can do instead.
"""

from typing import Final

from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.source import Source
from fhir_gateway.model.unit_ability import UnitAbility

__all__ = ["lack_sentence"]

_LACKS: Final = {
    UnitAbility.BOOK: "takes no bookings over the service platform",
    UnitAbility.RESCHEDULE: "moves no bookings over the service platform",
    UnitAbility.CANCEL: "cancels no bookings over the service platform",
    UnitAbility.LIST: "lists no bookings over the service platform",
}
_INSTEAD: Final = {
    UnitAbility.BOOK: ", or choose a time at another unit",
    UnitAbility.RESCHEDULE: ", or book the other time and then cancel this booking",
}
_NEEDED_INSTEAD: Final = {
    UnitAbility.RESCHEDULE: (UnitAbility.BOOK, UnitAbility.CANCEL),
}


def lack_sentence(
    unit: CareUnit, ability: UnitAbility, source: Source | None
) -> str | None:
    """
    Return what to do where a unit is known to lack an ability; None where it is not.

    Args:
        unit: The unit.
        ability: The ability.
        source: Its source, whom to call where the unit has no telephone number.
    """
    if not unit.lacks(ability):
        return None
    phone = unit.phone or (None if source is None else source.phone)
    call = f"call it on {phone}" if phone else "contact it"
    is_possible = not any(map(unit.lacks, _NEEDED_INSTEAD.get(ability, ())))
    instead = _INSTEAD.get(ability, "") if is_possible else ""
    return f"{unit.name} {_LACKS[ability]}: {call}{instead}."
