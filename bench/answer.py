"""
An answer of GetAvailableTimeslots, and the way from its bytes to a stored block.
"""

from datetime import datetime, timedelta

from fhir_gateway.adapters.scheduling_1_1.timeslot_mapping import free_times_from_answer
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timekeeping import civil_time_text, now
from fhir_gateway.rivta.envelope import read_response, write_response
from fhir_gateway.rivta.scheduling_1_1.get_available_timeslots import CONTRACT, Response
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock, pack

__all__ = ["answer_of", "stored"]

_UNIT = HsaId("SE2321009901-1001")
_TYPE = TimeTypeId("TT-COVID")


def answer_of(count: int) -> bytes:
    """Return an answer with so many free times, a quarter of an hour each."""
    first = now().replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    return write_response(
        CONTRACT,
        Response(
            timeslot_detail=tuple(
                _timeslot(first + timedelta(minutes=15 * (number // 3)), number % 3)
                for number in range(count)
            )
        ),
    )


def stored(document: bytes) -> bytes:
    """Return the packed block of an answer, as the refresh makes it."""
    free = free_times_from_answer(read_response(CONTRACT, document), _UNIT, _TYPE)
    moment = now()
    return pack(
        SlotBlock.of(
            BlockKey(source=SourceName("norr"), unit=_UNIT, time_type_id=_TYPE),
            list(free.timeslots),
            asked_at=moment,
            answered_at=moment,
        )
    )


def _timeslot(start: datetime, performer: int) -> TimeslotType:
    return TimeslotType(
        start_time_inclusive=civil_time_text(start),
        end_time_exclusive=civil_time_text(start + timedelta(minutes=15)),
        healthcare_facility=_UNIT,
        performer=f"SE2321009901-P1001{performer}",
        healthcare_facility_name="Vårdcentralen Tallbacken",
        performer_name="Distriktssköterska Anna Provberg",
        time_type_name="Covid-vaccination distriktssköterska",
        time_type_id=_TYPE,
        cancel_booking_allowed=True,
        rebooking_allowed=True,
        message_allowed=True,
    )
