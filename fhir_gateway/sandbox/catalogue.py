"""
The catalogue of the simulated regions: units, staff, rooms and time types.

It depends only on the size, neither on the date nor on the seed. No unit, person or
organisation in it exists.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from fhir_gateway.model.care_unit import CareUnit, Performer
from fhir_gateway.model.ids import (
    CareTypeId,
    CountyCode,
    HsaId,
    LogicalAddress,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.sandbox.practice import (
    FIRST_NAMES,
    KINDS,
    LAST_NAMES,
    PATTERN,
    PRACTICES,
    CareGroup,
    Kind,
    OpeningHours,
    Practice,
)
from fhir_gateway.sandbox.towns import HOUSES, MITT, NORR, SYD, Town

__all__ = [
    "DEFAULT_SLOTS",
    "Calendar",
    "LocalCareType",
    "LocalTimeType",
    "Resource",
    "SandboxRegion",
    "SandboxUnit",
    "Style",
    "regions",
]

DEFAULT_SLOTS: Final = 100_000

_FREE_SLOTS_A_UNIT: Final = 6_250  # over the three regions: 16 units each by default
_FEWEST_UNITS: Final = 2


class Style(Enum):
    """The real system of which a region has the habits."""

    EXACT = "exact"
    TAKECARE = "takecare"
    SCHEDULR = "schedulr"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCareType:
    """A unit's own grouping of its time types."""

    id: CareTypeId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTimeType:
    """
    A time type with the id and the name that one unit uses.

    Attributes:
        key: The sandbox's own name of it, the same in all regions.
        places: The number of residents for one time; a free time is listed once for
            each place.
        may_change: A booking of it can be cancelled and moved.
        may_message: A cancellation can have a message.
        info: The text of the unit when it has been booked, or None.
    """

    id: TimeTypeId
    name: str
    key: str
    minutes: int
    is_covid_vaccination: bool
    may_change: bool
    may_message: bool
    places: int = 1
    care_type: LocalCareType | None = None
    info: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A room; TakeCare writes `kind` in the field of the performer."""

    id: ResourceId
    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """
    The calendar of a performer, a room or a group; its times never overlap.

    It alternates between its time types.
    """

    number: int
    time_types: tuple[LocalTimeType, ...]
    performer: Performer | None = None
    resource: Resource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxUnit:
    """A unit with its opening hours, time types and calendars."""

    care_unit: CareUnit
    kind: str
    hours: OpeningHours
    time_types: tuple[LocalTimeType, ...]
    calendars: tuple[Calendar, ...]

    @property
    def hsa_id(self) -> HsaId:
        """Return the unit's HSA-id, which is also its logical address."""
        return self.care_unit.hsa_id

    @property
    def performers(self) -> tuple[Performer, ...]:
        """Return the staff that a resident can choose."""
        return tuple(
            calendar.performer for calendar in self.calendars if calendar.performer
        )

    @property
    def covid_vaccination(self) -> LocalTimeType | None:
        """Return the time type for vaccination against covid-19, or None."""
        return next(
            (offered for offered in self.time_types if offered.is_covid_vaccination),
            None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxRegion:
    """
    A simulated region.

    Attributes:
        hsa_prefix: The beginning of the HSA-id of each unit.
        agent: The HSA-id of the actor when no resident asks.
        aggregated_address: The address for the bookings of all its units, or None if
            the system has none.
        county: The county of its first unit; the towns of a region are in several.
    """

    name: SourceName
    title: str
    style: Style
    hsa_prefix: str
    agent: HsaId
    aggregated_address: LogicalAddress | None
    county: CountyCode
    units: tuple[SandboxUnit, ...]

    def unit(self, hsa_id: str) -> SandboxUnit | None:
        """Return the unit with an HSA-id, in upper or lower case, or None."""
        requested = hsa_id.strip().upper()
        return next((unit for unit in self.units if unit.hsa_id == requested), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    name: str
    title: str
    style: Style
    # 232100-9901 to -9903 all have a wrong check digit (only -9900 would pass), so no
    # organisation can ever have these numbers.
    hsa_prefix: str
    aggregated_address: str | None
    county: str
    towns: tuple[Town, ...]
    phone: str


_PLANS: Final = (
    _Plan(
        name="norr",
        title="Region Norr (sandlåda)",
        style=Style.EXACT,
        hsa_prefix="SE2321009901-",
        aggregated_address="25",
        county="SE-AC",
        towns=NORR,
        phone="0980-319 2{:02d}",
    ),
    _Plan(
        name="mitt",
        title="Region Mitt (sandlåda)",
        style=Style.TAKECARE,
        hsa_prefix="SE2321009902-",
        aggregated_address=None,
        county="SE-AB",
        towns=MITT,
        phone="08-465 004 {:02d}",
    ),
    _Plan(
        name="syd",
        title="Region Syd (sandlåda)",
        style=Style.SCHEDULR,
        hsa_prefix="SE2321009903-",
        aggregated_address="12",
        county="SE-M",
        towns=SYD,
        phone="040-628 04 {:02d}",
    ),
)
_PHONE_SERIES: Final = 100


@lru_cache(maxsize=8)
def regions(slots: int = DEFAULT_SLOTS) -> tuple[SandboxRegion, ...]:
    """
    Return norr, mitt and syd, with enough units for a number of free slots.

    Args:
        slots: The approximate number of free slots of all three together.

    Raises:
        ValueError: `slots` is not positive.
    """
    if slots < 1:
        raise ValueError("slots must be positive")
    most = len(NORR) * len(HOUSES)
    units = min(most, max(_FEWEST_UNITS, round(slots / _FREE_SLOTS_A_UNIT)))
    return tuple(_region(plan, units) for plan in _PLANS)


def _region(plan: _Plan, units: int) -> SandboxRegion:
    return SandboxRegion(
        name=SourceName(plan.name),
        title=plan.title,
        style=plan.style,
        hsa_prefix=plan.hsa_prefix,
        agent=HsaId(f"{plan.hsa_prefix}AGENT"),
        aggregated_address=(
            LogicalAddress(plan.aggregated_address) if plan.aggregated_address else None
        ),
        county=CountyCode(plan.county),
        units=tuple(_unit(plan, index) for index in range(units)),
    )


def _unit(plan: _Plan, index: int) -> SandboxUnit:
    rotation, place = divmod(index, len(plan.towns))
    town = plan.towns[place]
    kind = KINDS[PATTERN[(place + 5 * rotation) % len(PATTERN)]]
    keys = list(dict.fromkeys(key for staff in kind.staff for key in staff.practices))
    if plan.style is Style.EXACT:
        keys += kind.in_groups
    offered = {
        key: _time_type(plan, PRACTICES[key], index, number)
        for number, key in enumerate(keys)
    }
    return SandboxUnit(
        care_unit=CareUnit(
            hsa_id=HsaId(f"{plan.hsa_prefix}{1001 + index}"),
            name=f"{kind.name} {HOUSES[(rotation + place) % len(HOUSES)]}, {town.name}",
            source=SourceName(plan.name),
            organization=HsaId(f"{plan.hsa_prefix}0000"),
            organization_name=plan.title,
            phone=plan.phone.format(index % _PHONE_SERIES),
            street=f"{town.street} {2 + 3 * rotation}",
            postal_code=town.postal_code,
            city=town.name,
            # Each further unit of a town is some 500 metres to the north-east.
            position=type(town.position)(
                latitude=round(town.position.latitude + 0.004 * rotation, 4),
                longitude=round(town.position.longitude + 0.004 * rotation, 4),
            ),
        ),
        kind=kind.name,
        hours=kind.hours,
        time_types=tuple(offered.values()),
        calendars=_calendars(plan, kind, index, offered),
    )


def _calendars(
    plan: _Plan, kind: Kind, index: int, offered: dict[str, LocalTimeType]
) -> tuple[Calendar, ...]:
    calendars = []
    for number, staff in enumerate(kind.staff):
        time_types = tuple(offered[key] for key in staff.practices)
        if plan.style is Style.TAKECARE:
            resource = Resource(
                id=ResourceId(f"{1001 + index}{number + 1:02d}"),
                name=f"{staff.room} {number + 1}",
                kind=str(number % 2 + 1),
            )
            calendars.append(
                Calendar(number=number, time_types=time_types, resource=resource)
            )
            continue
        who = 7 * index + 5 * number + (11 if plan.style is Style.SCHEDULR else 0)
        performer = Performer(
            hsa_id=HsaId(f"{plan.hsa_prefix}P{1001 + index}{number + 1}"),
            first_name=FIRST_NAMES[who % len(FIRST_NAMES)],
            last_name=LAST_NAMES[who % len(LAST_NAMES)],
            title=staff.title,
        )
        calendars.append(
            Calendar(number=number, time_types=time_types, performer=performer)
        )
    if plan.style is Style.EXACT and kind.in_groups:
        calendars.append(
            Calendar(
                number=len(calendars),
                time_types=tuple(offered[key] for key in kind.in_groups),
            )
        )
    return tuple(calendars)


def _time_type(
    plan: _Plan, practice: Practice, unit: int, number: int
) -> LocalTimeType:
    # Three local schemes: text, the same in the whole region; numbers, different in
    # each
    # unit; opaque ids, the same in the whole region.
    match plan.style:
        case Style.EXACT:
            name = practice.norr
            local_id = f"TT-{practice.key.upper()}"
        case Style.TAKECARE:
            name = practice.mitt
            local_id = str(10 * (1001 + unit) + number + 1)
        case Style.SCHEDULR:
            name = practice.syd
            local_id = str(uuid5(NAMESPACE_OID, f"syd {practice.key}"))
    return LocalTimeType(
        id=TimeTypeId(local_id),
        name=name,
        key=practice.key,
        minutes=practice.minutes,
        is_covid_vaccination=practice.is_covid_vaccination,
        may_change=practice.may_change,
        may_message=practice.may_message,
        places=practice.places if plan.style is Style.EXACT else 1,
        care_type=_care_type(practice.group) if plan.style is Style.EXACT else None,
        info=practice.info if plan.style is Style.EXACT else None,
    )


def _care_type(group: CareGroup) -> LocalCareType:
    identity, name = group.value
    return LocalCareType(id=CareTypeId(identity), name=name)
