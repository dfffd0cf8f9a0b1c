"""
What my region does differently.

The region puts the same words before the names of time types. A source that does not
speak crm:scheduling at all has a class without a base instead, with the members of
`fhir_gateway.adapters.protocol.SchedulingAdapter` and of the abilities that it has.
"""

from dataclasses import replace

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11
from fhir_gateway.adapters.scheduling_1_1.options import Options
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.listed import Listed
from fhir_gateway.model.scheduling import GetAllTimeTypes
from fhir_gateway.model.timeslot import TimeType

__all__ = ["MyRegion"]


class MyRegion(Scheduling11):
    """
    My region's system.

    Args:
        name: What the source is called.
        options: What `scheduling_1_1` knows of the producer.
        name_prefix: What the region puts before every name of a time type.
    """

    def __init__(
        self, name: SourceName, options: Options, *, name_prefix: str = ""
    ) -> None:
        super().__init__(name, options)
        self._name_prefix = name_prefix

    def get_all_time_types(
        self, query: GetAllTimeTypes, *, timeout: float
    ) -> Listed[TimeType]:
        """Return what can be booked at a unit, without the words before each name."""
        answer = super().get_all_time_types(query, timeout=timeout)
        return replace(
            answer,
            items=tuple(
                replace(each, name=each.name.removeprefix(self._name_prefix))
                for each in answer.items
            ),
        )
