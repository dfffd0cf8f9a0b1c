"""
`time-of-day`: the Swedish clock time at a slot's start.

R4 has no such parameter; `profiles/SearchParameter-slot-time-of-day.json` declares it.
"""

import re
from functools import reduce
from operator import and_, or_
from typing import Final

from marshmallow import ValidationError

from fhir_gateway.fhir.search_parameters import Parameter, alternatives
from fhir_gateway.model.weekly_hours import ALL_MINUTES

__all__ = ["TimeOfDayParameter"]

_TIME: Final = re.compile(
    r"(?P<prefix>[a-z]{2})?(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
)


class TimeOfDayParameter(Parameter[int]):
    """
    Times with a prefix, as `ge08:00`: the minutes of a day that all values allow.

    They are the bits of a number. A value stands for its whole minute, as a FHIR date
    stands for its precision.
    """

    type = "special"

    def read(self, texts: list[str]) -> int:
        """Return the minutes that all values allow."""
        groups = [reduce(or_, map(_minutes, alternatives(text))) for text in texts]
        return reduce(and_, groups)


def _minutes(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValidationError(
            "expected a time from 00:00 to 23:59, with or without a prefix, as ge08:00"
        )
    minute = 60 * int(match["hour"]) + int(match["minute"])
    this = 1 << minute
    before = this - 1
    after = ALL_MINUTES ^ (this | before)
    found = {
        "eq": this,
        "ne": ALL_MINUTES ^ this,
        "ge": this | after,
        "gt": after,
        "sa": after,
        "lt": before,
        "eb": before,
        "le": this | before,
    }.get(match["prefix"] or "eq")
    if found is None:
        raise ValidationError(
            "expected one of the prefixes eq, ne, ge, gt, le, lt, sa, eb, or none"
        )
    return found
