"""
Numbers for units' time types: the same for as long as a process lives.
"""

from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.timeslot import time_type_token

__all__ = ["OfferingNumbers"]


class OfferingNumbers:
    """
    A number for each unit's time type; they only grow.

    A unit or a code that many have in common is stored once.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._tokens: list[str] = []
        self._units: list[HsaId] = []
        self._time_type_ids: list[TimeTypeId] = []
        self._known_units: dict[HsaId, HsaId] = {}
        self._known_ids: dict[TimeTypeId, TimeTypeId] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def number(self, unit: HsaId, time_type_id: TimeTypeId) -> int:
        """Return the number of a unit's time type; give it one if it had none."""
        token = time_type_token(unit, time_type_id)
        number = self._numbers.get(token)
        if number is None:
            number = len(self._tokens)
            self._units.append(self._known_units.setdefault(unit, unit))
            self._time_type_ids.append(
                self._known_ids.setdefault(time_type_id, time_type_id)
            )
            self._tokens.append(token)
            self._numbers[token] = number
        return number

    def known(self, token: str) -> int | None:
        """Return the number of a token that has one."""
        return self._numbers.get(token)

    def token(self, number: int) -> str:
        """Return the token that has a number."""
        return self._tokens[number]

    def unit(self, number: int) -> HsaId:
        """Return the unit of a numbered time type."""
        return self._units[number]

    def time_type_id(self, number: int) -> TimeTypeId:
        """Return the unit's own code of the time type that has a number."""
        return self._time_type_ids[number]
