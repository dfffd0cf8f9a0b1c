"""
The answers about a unit's directory: its time types, its care types and its staff.

An unknown unit has none of them.
"""

from collections.abc import Sequence

from fhir_gateway.rivta.scheduling_1_1.get_all_care_types import (
    Request as CareTypesRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_care_types import (
    Response as CareTypesResponse,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_performers import (
    Request as PerformersRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_performers import (
    Response as PerformersResponse,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_time_types import (
    Request as TimeTypesRequest,
)
from fhir_gateway.rivta.scheduling_1_1.get_all_time_types import (
    Response as TimeTypesResponse,
)
from fhir_gateway.rivta.scheduling_1_1.types import (
    CareTypeType,
    PerformerInfoType,
    TimeTypeType,
)
from fhir_gateway.sandbox.catalogue import Calendar, LocalTimeType, SandboxUnit

__all__ = ["list_care_types", "list_performers", "list_time_types"]


def list_time_types(
    offered: Sequence[LocalTimeType], request: TimeTypesRequest
) -> TimeTypesResponse:
    """Return which of the offered time types of a unit a request asks for."""
    return TimeTypesResponse(
        list_of_time_types=tuple(
            TimeTypeType(time_type_name=each.name, time_type_id=each.id)
            for each in offered
            if not request.care_type_ids
            or (each.care_type and each.care_type.id in request.care_type_ids)
        )
    )


def list_care_types(
    unit: SandboxUnit | None, request: CareTypesRequest
) -> CareTypesResponse:
    """Return the care types of a unit's calendars, each once."""
    performers = {performer.upper() for performer in request.performer}
    care_types = {
        each.care_type.id: each.care_type
        for calendar in (unit.calendars if unit else ())
        if not performers
        or (calendar.performer and calendar.performer.hsa_id in performers)
        for each in calendar.time_types
        if each.care_type
        and (not request.time_type_ids or each.id in request.time_type_ids)
    }
    return CareTypesResponse(
        care_types=tuple(
            CareTypeType(care_type_name=each.name, care_type_id=each.id)
            for each in care_types.values()
        )
    )


def list_performers(
    unit: SandboxUnit | None, request: PerformersRequest
) -> PerformersResponse:
    """Return the staff of a unit's calendars."""
    return PerformersResponse(
        performer_infos=tuple(
            PerformerInfoType(
                performer=calendar.performer.hsa_id,
                first_name=calendar.performer.first_name,
                last_name=calendar.performer.last_name,
                title=calendar.performer.title,
            )
            for calendar in (unit.calendars if unit else ())
            if calendar.performer and _has_requested_types(calendar, request)
        )
    )


def _has_requested_types(calendar: Calendar, request: PerformersRequest) -> bool:
    has_time_type = not request.time_type_ids or any(
        each.id in request.time_type_ids for each in calendar.time_types
    )
    has_care_type = not request.care_type_ids or any(
        each.care_type and each.care_type.id in request.care_type_ids
        for each in calendar.time_types
    )
    return has_time_type and has_care_type
