"""
All contracts of crm:scheduling 1.1, by interaction.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.scheduling_1_1 import (
    cancel_booking,
    get_all_care_types,
    get_all_healthcare_facilities,
    get_all_performers,
    get_all_time_types,
    get_available_dates,
    get_available_timeslots,
    get_booking_details,
    get_subject_of_care_schedule,
    make_booking,
    update_booking,
)

__all__ = ["CONTRACTS"]

CONTRACTS: Final[Mapping[Interaction, Contract[Any, Any]]] = MappingProxyType(
    {
        module.CONTRACT.interaction: module.CONTRACT
        for module in (
            cancel_booking,
            get_all_care_types,
            get_all_healthcare_facilities,
            get_all_performers,
            get_all_time_types,
            get_available_dates,
            get_available_timeslots,
            get_booking_details,
            get_subject_of_care_schedule,
            make_booking,
            update_booking,
        )
    }
)
