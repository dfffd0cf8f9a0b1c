"""
`time-of-day`: what a clock on the wall shows when a slot begins.

R4 has no such parameter; `profiles/SearchParameter-slot-time-of-day.json` declares it.
"""

import re
from collections.abc import Mapping
from functools import reduce
from operator import and_, or_
from typing import Any, Final

from marshmallow import ValidationError

from fhir_gateway.fhir.search_parameters import Parameter, alternatives
from fhir_gateway.model.weekly_hours import MINUTES_OF_A_DAY

__all__ = ["TimeOfDayParameter"]

_TIME: Final = re.compile(
    r"(?P<prefix>[a-z]{2})?(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
)
_ALL: Final = frozenset(range(MINUTES_OF_A_DAY))


class TimeOfDayParameter(Parameter):
    """
    Times with a prefix, as `ge08:00`: the minutes of a day that all values leave.

    A value stands for its whole minute, as a FHIR date stands for its precision.
    """

    type = "special"

    def _deserialize(
        self,
        value: list[str],
        attr: str | None,  # noqa: ARG002 - marshmallow's
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's
        **_: Any,  # noqa: ANN401 - marshmallow's
    ) -> frozenset[int]:
        groups = [reduce(or_, map(_minutes, alternatives(text))) for text in value]
        return reduce(and_, groups)


def _minutes(text: str) -> frozenset[int]:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValidationError(
            "expected a time from 00:00 to 23:59, with or without a prefix, as ge08:00"
        )
    minute = 60 * int(match["hour"]) + int(match["minute"])
    before = frozenset(range(minute))
    after = frozenset(range(minute + 1, MINUTES_OF_A_DAY))
    found = {
        "eq": frozenset({minute}),
        "ne": _ALL - {minute},
        "ge": _ALL - before,
        "gt": after,
        "sa": after,
        "lt": before,
        "eb": before,
        "le": _ALL - after,
    }.get(match["prefix"] or "eq")
    if found is None:
        raise ValidationError(
            "expected one of the prefixes eq, ne, ge, gt, le, lt, sa, eb, or none"
        )
    return found
