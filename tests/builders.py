"""
Builders: everything is valid by default; override what the test is about.

Numbers are of Skatteverket's test kind: birth numbers from 980.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fhir_gateway.model.booking import Booking
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.ids import (
    BookingId,
    HsaId,
    PerformerId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import Schedule, StandardTimeType, Timeslot, TimeType
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.source_catalogue import SourceCatalogue
from fhir_gateway.testing import resident

# A Monday, before the units open.
NOW: Final = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
NORR: Final = SourceName("norr")
SYD: Final = SourceName("syd")
PREFIX: Final = "SE2321000016-"
UNIT: Final = HsaId(f"{PREFIX}A01")
OTHER_UNIT: Final = HsaId(f"{PREFIX}A02")
SOUTHERN_UNIT: Final = HsaId("SE2321000099-B01")
VISIT: Final = TimeTypeId("TT-BESOK")
COVID: Final = TimeTypeId("TT-COVID")
COVID_CODE: Final = "72791000052103"
AGENT: Final = HsaId(f"{PREFIX}AGENT")
TOLVAN: Final = PersonalIdentityNumber("191212121212")
HALF_AN_HOUR: Final = timedelta(minutes=30)
VACCINATION: Final = StandardTimeType(
    code=COVID_CODE, display="vaccination mot covid-19"
)


def number(which: int = 0) -> PersonalIdentityNumber:
    """Return the personal number of the test person of that ordinal."""
    return resident(which).number


def subject(which: int = 0, **changed: Any) -> SubjectOfCare:
    """Return the test person of that ordinal."""
    return replace(resident(which), **changed)


def unit(hsa_id: str = UNIT, **changed: Any) -> CareUnit:
    """Return a unit of norr."""
    fields: dict[str, Any] = {
        "hsa_id": HsaId(hsa_id),
        "name": f"Mottagning {hsa_id[-3:]}",
        "source": NORR,
    }
    return CareUnit(**fields | changed)


def source(name: str = NORR, **changed: Any) -> Source:
    """Return norr with one unit, which may be asked as often as one likes."""
    fields: dict[str, Any] = {
        "name": SourceName(name),
        "title": f"Region {name.title()}",
        "prefixes": (PREFIX,),
        "agent": AGENT,
        "refresh_subject": TOLVAN,
        "units": (unit(source=SourceName(name)),),
        "read_timeout": timedelta(seconds=3),
        "write_timeout": timedelta(seconds=3),
    }
    return Source(**fields | changed)


def southern_source(**changed: Any) -> Source:
    """Return syd with one unit."""
    fields: dict[str, Any] = {
        "prefixes": ("SE2321000099-",),
        "units": (unit(SOUTHERN_UNIT, source=SYD),),
    }
    return source(SYD, **fields | changed)


def schedule(
    hsa_id: str = UNIT, time_type: str = VISIT, name: str = "Besök", **changed: Any
) -> Schedule:
    """Return a schedule of a unit and a time type."""
    fields: dict[str, Any] = {
        "unit": HsaId(hsa_id),
        "time_type_id": TimeTypeId(time_type),
        "time_type_name": name,
    }
    if changed.get("performer") is not None:
        changed["performer"] = PerformerId(changed["performer"])
    return Schedule(**fields | changed)


def timeslot(
    hours: float = 3,
    *,
    of: Schedule | None = None,
    count: int = 1,
    lasts: timedelta = HALF_AN_HOUR,
    source_id: str | None = None,
    after: datetime = NOW,
) -> Timeslot:
    """Return a free time that begins so many hours after an instant."""
    start = after + timedelta(hours=hours)
    return Timeslot(
        schedule=of or schedule(),
        start=start,
        end=start + lasts,
        count=count,
        source_id=BookingId(source_id) if source_id else None,
    )


def block(
    timeslots: Sequence[Timeslot] | None = None,
    *,
    key: BlockKey | None = None,
    answered_at: datetime = NOW,
    **changed: Any,
) -> SlotBlock:
    """Return the block of the times' unit and time type."""
    if timeslots is None:
        timeslots = [timeslot()]
    if key is None:
        first = timeslots[0].schedule
        key = BlockKey(source=NORR, unit=first.unit, time_type_id=first.time_type_id)
    return SlotBlock.of(
        key,
        timeslots,
        asked_at=answered_at - timedelta(seconds=1),
        answered_at=answered_at,
        **changed,
    )


def catalogue(
    time_types: dict[HsaId, Iterable[tuple[str, str]]] | None = None,
    *,
    name: str = NORR,
    answered_at: datetime = NOW,
    **changed: Any,
) -> SourceCatalogue:
    """Return a catalogue; each unit's time types are pairs of a code and a name."""
    if time_types is None:
        time_types = {UNIT: [(VISIT, "Besök")]}
    fields: dict[str, Any] = {
        "source": SourceName(name),
        "answered_at": answered_at,
        "units": tuple(unit(each, source=SourceName(name)) for each in time_types),
        "time_types": {
            hsa_id: tuple(
                TimeType(id=TimeTypeId(code), name=title) for code, title in pairs
            )
            for hsa_id, pairs in time_types.items()
        },
        "performers": {},
    }
    return SourceCatalogue(**fields | changed)


def booked(of: Timeslot, *, booking_id: str | None = "B-1", **changed: Any) -> Booking:
    """Return the booking of a time as its source describes it."""
    fields: dict[str, Any] = {
        "unit": of.schedule.unit,
        "booking_id": None if booking_id is None else BookingId(booking_id),
        "start": of.start,
        "end": of.end,
        "time_type_id": of.schedule.time_type_id,
        "time_type_name": of.schedule.time_type_name,
    }
    return Booking(**fields | changed)
