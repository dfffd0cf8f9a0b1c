"""
The adapter of my region, with its deviations from crm:scheduling 1.1.

The region writes the same words before the names of all time types. For a source with
another protocol, write a class without a base class, with the members of
`fhir_gateway.adapters.protocol.SchedulingAdapter` and of its abilities.
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
        name: The name of the source.
        options: The options of `scheduling_1_1`.
        name_prefix: The words before the name of each time type.
    """

    def __init__(
        self, name: SourceName, options: Options, *, name_prefix: str = ""
    ) -> None:
        super().__init__(name, options)
        self._name_prefix = name_prefix

    def get_all_time_types(
        self, query: GetAllTimeTypes, *, timeout: float
    ) -> Listed[TimeType]:
        """Return the time types of a unit, without the words before each name."""
        answer = super().get_all_time_types(query, timeout=timeout)
        return replace(
            answer,
            items=tuple(
                replace(each, name=each.name.removeprefix(self._name_prefix))
                for each in answer.items
            ),
        )
