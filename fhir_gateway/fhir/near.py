"""
`near`: places within a distance of a point (FHIR R4, Location, 8.7.6.1).
"""

import re
from typing import Final

from marshmallow import ValidationError

from fhir_gateway.fhir.search_parameters import Parameter, alternatives
from fhir_gateway.model.care_unit import Nearness, Position

__all__ = ["NearParameter"]

_DECIMAL: Final = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,15})?")
# UCUM: R4 requires km, and [mi_us] if possible.
_UNITS_KM: Final = {
    "km": 1.0,
    "m": 0.001,
    "[mi_us]": 6336 / 3937,
    "[mi_i]": 1.609344,
}
# R4 lets the server choose the distance when the client gives none.
_DEFAULT_KM: Final = 20.0
_FEWEST_PARTS: Final = 2
_MOST_PARTS: Final = 4
_MOST_LATITUDE: Final = 90
_MOST_LONGITUDE: Final = 180


class NearParameter(Parameter[tuple[tuple[Nearness, ...], ...]]):
    """
    `latitude|longitude|distance|unit`: groups of places.

    The default unit is km, the default distance 20 km.
    """

    type = "special"

    def read(self, texts: list[str]) -> tuple[tuple[Nearness, ...], ...]:
        """Return the groups of places; of each group one must be near."""
        return tuple(
            tuple(_nearness(each) for each in alternatives(text)) for text in texts
        )


def _nearness(text: str) -> Nearness:
    parts = text.split("|")
    if not _FEWEST_PARTS <= len(parts) <= _MOST_PARTS:
        raise ValidationError("expected latitude|longitude|distance|unit")
    distance, unit = [*parts[_FEWEST_PARTS:], "", ""][:_FEWEST_PARTS]
    latitude = _number(parts[0], "latitude")
    longitude = _number(parts[1], "longitude")
    if abs(latitude) > _MOST_LATITUDE or abs(longitude) > _MOST_LONGITUDE:
        raise ValidationError(
            "expected a latitude of -90 to 90 and a longitude of -180 to 180 degrees"
        )
    factor = _UNITS_KM.get(unit or "km")
    if factor is None:
        raise ValidationError(f"expected one of the units {', '.join(_UNITS_KM)}")
    km = _DEFAULT_KM if not distance else _number(distance, "distance") * factor
    if km < 0:
        raise ValidationError("expected a distance of 0 or more")
    return Nearness(
        position=Position(latitude=latitude, longitude=longitude),
        km=km,
    )


def _number(text: str, name: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise ValidationError(f"expected a decimal {name}, as 59.3293")
    return float(text)
