"""
How the sandbox's platform behaves: its time limits, routes, authorities and caches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction

__all__ = ["BadOptions", "PlatformOptions", "platform_options_from_json"]

_MOST_SECONDS: Final = 3_600
_INTERACTIONS: Final = {each.name: each for each in scheduling.INTERACTIONS}
_SECONDS: Final = (
    "producer_timeout_s",
    "total_timeout_s",
    "platform_timeout_s",
    "cached_for_s",
)
_UNITS: Final = ("unauthorised", "not_indexed")
_FLAGS: Final = ("keeps_last", "index_fails")


class BadOptions(ValueError):
    """The JSON describes no options; the message lists the valid values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformOptions:
    """
    The options; the time limits are a tenth of the real ones.

    Attributes:
        producer_timeout_s: The longest time that the aggregating service waits for one
            unit (27 s in skltp/agp).
        total_timeout_s: The longest time for its whole answer (28 s).
        platform_timeout_s: The longest time that the platform waits for a producer
            (29 s in skltp/vp).
        cached_for_s: The aggregating service gives a younger answer of a unit again
            (`DataFromCache`); 0 for no cache, like skltp/agp today.
        keeps_last: It gives the last answer of a unit that fails
            (`DataFromCacheSynchFailed`).
        unauthorised: No consumer may ask these units: VP007, and the aggregating
            service leaves them out without a record.
        not_indexed: The engagement index has no posts of these units.
        index_fails: The engagement index does not answer the aggregating service.
        lacks: By unit, the interactions that it has no route for: VP004.
    """

    producer_timeout_s: float = 2.7
    total_timeout_s: float = 2.8
    platform_timeout_s: float = 2.9
    cached_for_s: float = 0.0
    keeps_last: bool = False
    unauthorised: frozenset[str] = frozenset()
    not_indexed: frozenset[str] = frozenset()
    index_fails: bool = False
    lacks: Mapping[str, frozenset[Interaction]] = field(default_factory=dict)

    def may_ask(self, address: str) -> bool:
        """Return whether consumers are authorised for a unit."""
        return address.upper() not in self.unauthorised

    def supports(self, address: str, interaction: Interaction) -> bool:
        """Return whether a unit that exists has a route for an interaction."""
        return interaction not in self.lacks.get(address.upper(), frozenset())

    def as_json(self) -> dict[str, Any]:
        """Return them as `platform_options_from_json` reads them."""
        return {
            **{name: getattr(self, name) for name in (*_SECONDS, *_FLAGS)},
            **{name: sorted(getattr(self, name)) for name in _UNITS},
            "lacks": {
                unit: sorted(each.name for each in interactions)
                for unit, interactions in sorted(self.lacks.items())
            },
        }


def platform_options_from_json(data: object) -> PlatformOptions:
    """
    Return the options that a JSON object describes; an absent one has its default.

    Raises:
        BadOptions: It describes none; the message lists the valid values.
    """
    valid = (*_SECONDS, *_FLAGS, *_UNITS, "lacks")
    if not isinstance(data, dict):
        raise BadOptions(f"expected a JSON object; its fields are {', '.join(valid)}")
    unknown = sorted(set(data) - set(valid))
    if unknown:
        raise BadOptions(f"unknown field {unknown[0]!r}; valid are {', '.join(valid)}")
    values: dict[str, Any] = {}
    for name in _SECONDS:
        if name in data:
            values[name] = _seconds(name, data[name])
    for name in _FLAGS:
        if name in data:
            if not isinstance(data[name], bool):
                raise BadOptions(f"{name} must be true or false")
            values[name] = data[name]
    for name in _UNITS:
        if name in data:
            values[name] = frozenset(unit.upper() for unit in _texts(name, data[name]))
    return PlatformOptions(**values, lacks=_lacks(data.get("lacks", {})))


def _seconds(name: str, value: object) -> float:
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not 0 <= value <= _MOST_SECONDS
    ):
        raise BadOptions(f"{name} must be a number from 0 to {_MOST_SECONDS}")
    return float(value)


def _texts(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadOptions(f"{name} must be a list of texts")
    return value


def _lacks(value: object) -> dict[str, frozenset[Interaction]]:
    if not isinstance(value, dict):
        raise BadOptions("lacks must be an object: by unit, a list of interactions")
    lacking = {}
    for unit, listed in value.items():
        names = _texts("lacks", listed)
        if not set(names) <= _INTERACTIONS.keys():
            raise BadOptions(f"lacks must name some of {', '.join(_INTERACTIONS)}")
        lacking[unit.upper()] = frozenset(_INTERACTIONS[name] for name in names)
    return lacking
