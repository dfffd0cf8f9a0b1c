"""
The search for slots: its parameters, and the criteria that their values mean.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from marshmallow import ValidationError

from fhir_gateway.fhir.appointment_search import MissingParameter
from fhir_gateway.fhir.include_graph import Include
from fhir_gateway.fhir.near import NearParameter
from fhir_gateway.fhir.practitioner import (
    practitioner_role_id,
    unit_of_practitioner_role,
)
from fhir_gateway.fhir.reference import Reference
from fhir_gateway.fhir.search_parameters import (
    ANY_INSTANT,
    Choice,
    DateBounds,
    DateParameter,
    Opaque,
    Parameter,
    ReferenceParameter,
    Token,
    TokenParameter,
    alternatives,
    unescaped,
)
from fhir_gateway.fhir.search_schema import (
    SearchSchema,
)
from fhir_gateway.fhir.slot import SlotStatus
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.fhir.time_of_day import TimeOfDayParameter
from fhir_gateway.fhir.vocabulary import (
    DAYS_OF_WEEK,
    SLOT_STATUS,
    SNOMED_CT,
    Vocabulary,
    is_system_of_time_types,
)
from fhir_gateway.model.care_unit import Nearness
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.model.weekly_hours import ALL_DAYS, ALL_MINUTES, DAYS, WeeklyHours
from fhir_gateway.services.search.first_times import ShownUnits
from fhir_gateway.services.search.search_page import SlotPage
from fhir_gateway.services.search.slot_criteria import SlotCriteria
from fhir_gateway.services.search.slot_selection import (
    Actors,
    OwnTimeType,
    Selector,
    SharedTimeType,
    TimeTypeCriterion,
)
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.web.searching import (
    DEFAULT_COUNT,
    count_parameter,
    cursor_text,
    include_iterate_parameter,
    include_parameter,
    source_parameter,
    sources_from_uris,
    text_of_cursor,
    total_parameter,
)

__all__ = [
    "ACTOR_TYPES",
    "PARAMETERS",
    "Ids",
    "SlotCursor",
    "SlotQuery",
    "SlotSearchSchema",
    "Tokens",
    "actors_from_references",
    "cursor_behind",
    "slot_criteria",
    "statuses_of",
    "time_type_criteria",
    "units_from_ids",
]

_TO_SCHEDULE: Final = ("schedule:Schedule.", "Schedule.")
_SPELLINGS: Final = {
    "schedule:Schedule": "schedule",
    **{
        f"{chain}{modifier}": f"service-type{modifier}"
        for chain in (
            "schedule.service-type",
            "schedule.actor:HealthcareService.service-type",
        )
        for modifier in ("", ":not", ":below", ":in", ":not-in")
    },
}
_OF_NO_REGION: Final = "no region states it for its free times"
_REFUSED: Final = {
    "_revinclude": (
        "what refers to a slot is an appointment, which is personal; search"
        " Appointment with slot=Slot/id"
    ),
    "_has": (
        "what refers to a slot is an appointment, which is personal; search"
        " Appointment with slot=Slot/id"
    ),
    "_lastUpdated": (
        "slots have no meta.lastUpdated; the extension lastSourceSync says when the"
        " source last listed them"
    ),
    "identifier": "slots have no identifier; search by _id",
    "service-category": _OF_NO_REGION,
    "specialty": _OF_NO_REGION,
    "appointment-type": _OF_NO_REGION,
}
_STATUSES: Final = tuple(status.value for status in SlotStatus)
_R4: Final = "http://hl7.org/fhir/SearchParameter/"
PARAMETERS: Final = {
    "time_types": "service-type",
    "units": "schedule.actor:Location",
    "offerings": "schedule.actor:HealthcareService",
    "schedules": "schedule",
    "performers": "schedule.actor:Practitioner",
    "actors": "schedule.actor",
    "organizations": "schedule.actor:HealthcareService.organization",
    "sources": "_source",
}
"""The search parameter for each attribute of a selector."""


ACTOR_TYPES: Final = (
    "HealthcareService",
    "Location",
    "Practitioner",
    "PractitionerRole",
)
"""The types of the actors of schedules."""

Tokens = tuple[tuple[Token, ...], ...]
Ids = tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCursor:
    """
    Where a page ends.

    Attributes:
        after: Its last slot.
        shown: The units that it and the pages before have shown, where each unit is
            shown once.
    """

    after: TimeslotToken
    shown: ShownUnits | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the place in a `next` link.

        Raises:
            ValueError: The text is not from a `next` link of this server.
        """
        after, dot, shown = text.partition(".")
        return cls(
            after=TimeslotToken.parse(text_of_cursor(after)),
            shown=ShownUnits.parse(shown) if dot else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotQuery:
    """
    The values of a search for slots; of each group one has to fit.

    Attributes:
        time_of_day: The minutes of a day, as the bits of a number; None for all.
        first_per: `unit` for one slot of each unit; None for all slots.
        cursor: Where the page before ends.
    """

    id: Tokens = ()
    service_type: Tokens = ()
    service_type_not: Tokens = ()
    service_type_below: Tokens = ()
    service_type_in: Tokens = ()
    service_type_not_in: Tokens = ()
    no_service_type: bool | None = None
    start: DateBounds = ANY_INSTANT
    no_start: bool | None = None
    end: DateBounds = ANY_INSTANT
    no_end: bool | None = None
    status: Tokens = ()
    status_not: Tokens = ()
    no_status: bool | None = None
    schedule: Ids = ()
    no_schedule: bool | None = None
    location: Ids = ()
    healthcare_service: Ids = ()
    practitioner: Ids = ()
    practitioner_role: Ids = ()
    actor: tuple[frozenset[Reference], ...] = ()
    near: tuple[tuple[Nearness, ...], ...] = ()
    organization: Ids = ()
    source: Ids = ()
    time_of_day: int | None = None
    day_of_week: Tokens = ()
    first_per: str | None = None
    sort: str = "start"
    count: int = DEFAULT_COUNT
    total: str | None = None
    include: tuple[Include, ...] = ()
    include_iterate: tuple[Include, ...] = ()
    cursor: SlotCursor | None = None


def cursor_behind(page: SlotPage) -> str | None:
    """Return the cursor of the next page; None for the last page."""
    if page.next_after is None:
        return None
    after = cursor_text(page.next_after.text)
    if page.next_shown is None:
        return after
    return f"{after}.{page.next_shown.text}"


class ScheduleActorParameter(Parameter[tuple[frozenset[Reference], ...]]):
    """`schedule.actor`: groups of references to actors of schedules, as `Type/id`."""

    type = "reference"
    has_references = True

    def read(self, texts: list[str]) -> tuple[frozenset[Reference], ...]:
        """Return the references: of each group one has to fit."""
        return tuple(
            frozenset(map(_actor, map(unescaped, alternatives(text)))) for text in texts
        )


def _actor(text: str) -> Reference:
    with suppress(ValueError):
        # `understand` has made this server's absolute references relative.
        reference = Reference.parse(text, None)
        if reference.type in ACTOR_TYPES:
            return reference
    raise ValidationError(
        "expected a reference to this server, as Type/id, with one of the types"
        f" {', '.join(ACTOR_TYPES)}; or name the type: schedule.actor:Location"
    )


class NarrowerParameter(TokenParameter):
    """
    `service-type:below`: groups of codes with those below them.

    Attributes:
        terminology: Knows those; None where no codes are known.
    """

    terminology: Terminology | None = None

    def read(self, texts: list[str]) -> Tokens:
        """Return the codes; a unit's own have none below them."""
        return tuple(
            tuple(dict.fromkeys(each for token in group for each in self._kinds(token)))
            for group in super().read(texts)
        )

    def _kinds(self, token: Token) -> Iterator[Token]:
        yield token
        of_snomed_ct = token.code is not None and token.system in (None, SNOMED_CT)
        if self.terminology is not None and token.code is not None and of_snomed_ct:
            for code in sorted(self.terminology.kinds_of(token.code)):
                yield Token(SNOMED_CT, code)


class ValueSetParameter(Parameter[Tokens]):
    """
    `service-type:in`: groups of value sets, each by its canonical or as `ValueSet/id`.

    Attributes:
        terminology: Has the value sets; None where there is none.
    """

    type = "uri"
    has_references = True
    terminology: Terminology | None = None

    def read(self, texts: list[str]) -> Tokens:
        """Return the codes of the value sets: one of each group has to fit."""
        return tuple(
            tuple(
                dict.fromkeys(
                    token
                    for canonical in alternatives(text)
                    for token in self._codes(unescaped(canonical))
                )
            )
            for text in texts
        )

    def _codes(self, canonical: str) -> list[Token]:
        members = None
        if self.terminology is not None:
            members = self.terminology.members_of(canonical)
        if members is None:
            raise ValidationError(
                "this server has no such ValueSet with codes of time types; see"
                " /ValueSet for those that it has"
            )
        return [Token(each.system, each.concept.code) for each in members]


class SlotSearchSchema(SearchSchema[SlotQuery]):
    """
    The parameters of a search for slots.

    Args:
        terminology: Knows the codes of time types; without it, none is below another.
    """

    def __init__(self, terminology: Terminology | None = None) -> None:
        super().__init__()
        for field in self.fields.values():
            if isinstance(field, NarrowerParameter | ValueSetParameter):
                field.terminology = terminology

    query = SlotQuery
    refused = _REFUSED

    def spelling(self, name: str) -> str:
        """
        Return the spelling of a name that the schema declares.

        R4 allows `schedule:Schedule.actor` for `schedule.actor`; BaRS and Salesforce
        write `Schedule.actor`. A schedule, and a service, have the service types of
        their slots.
        """
        if name.startswith(_TO_SCHEDULE):
            name = f"schedule.{name.partition('.')[2]}"
        return _SPELLINGS.get(name) or super().spelling(name)

    id = TokenParameter(
        data_key="_id",
        is_system=lambda _: False,
        definition=f"{_R4}Resource-id",
        documentation="The slot's id; a free slot only.",
    )
    service_type = TokenParameter(
        data_key="service-type",
        definition=f"{_R4}Slot-service-type",
        documentation=(
            "A SNOMED CT code finds every unit's own time type of that meaning;"
            " a unit's own coding finds that time type; system| alone finds every time"
            " type with a code of that system."
        ),
        is_system=is_system_of_time_types,
    )
    service_type_not = TokenParameter(
        data_key="service-type:not", is_system=is_system_of_time_types
    )
    service_type_below = NarrowerParameter(
        data_key="service-type:below", is_system=is_system_of_time_types
    )
    service_type_in = ValueSetParameter(data_key="service-type:in")
    service_type_not_in = ValueSetParameter(data_key="service-type:not-in")
    no_service_type = MissingParameter(data_key="service-type:missing")
    start = DateParameter(
        definition=f"{_R4}Slot-start",
        documentation=(
            "The slot begins within. A date is a Swedish day. Past slots are never"
            " found."
        ),
    )
    no_start = MissingParameter(data_key="start:missing")
    end = DateParameter(
        definition=f"{_R4}Slot-end",
        documentation=(
            "The slot ends within (of R6). With start it says that the slot lies wholly"
            " within a time."
        ),
    )
    no_end = MissingParameter(data_key="end:missing")
    status = TokenParameter(
        codes=_STATUSES,
        system=SLOT_STATUS,
        definition=f"{_R4}Slot-status",
        documentation="Only free slots are found.",
    )
    status_not = TokenParameter(
        data_key="status:not", codes=_STATUSES, system=SLOT_STATUS
    )
    no_status = MissingParameter(data_key="status:missing")
    schedule = ReferenceParameter(target="Schedule", definition=f"{_R4}Slot-schedule")
    no_schedule = MissingParameter(data_key="schedule:missing")
    location = ReferenceParameter(
        target="Location",
        data_key="schedule.actor:Location",
        documentation="The unit, by its HSA-id.",
    )
    healthcare_service = ReferenceParameter(
        target="HealthcareService",
        data_key="schedule.actor:HealthcareService",
        documentation="A unit's time type.",
    )
    practitioner = ReferenceParameter(
        target="Practitioner",
        data_key="schedule.actor:Practitioner",
        documentation="A member of staff, by HSA-id.",
    )
    practitioner_role = ReferenceParameter(
        target="PractitionerRole",
        data_key="schedule.actor:PractitionerRole",
        documentation="A member of staff at one unit.",
    )
    actor = ScheduleActorParameter(
        data_key="schedule.actor",
        definition=f"{_R4}Schedule-actor",
        documentation=(
            "A unit, a unit's time type, a member of staff or one at one unit, as"
            " Type/id; values of several types are alternatives."
        ),
    )
    near = NearParameter(
        data_key="schedule.actor:Location.near",
        definition=f"{_R4}Location-near",
        documentation=(
            "The unit lies within a distance: latitude|longitude|distance|unit, in km"
            " by default (or m, [mi_us], [mi_i]); 20 km without a distance."
        ),
    )
    organization = ReferenceParameter(
        target="Organization",
        data_key="schedule.actor:HealthcareService.organization",
        definition=f"{_R4}HealthcareService-organization",
        documentation="Who provides the care, by HSA-id.",
    )
    source = source_parameter()
    time_of_day = TimeOfDayParameter(
        data_key="time-of-day",
        own="slot-time-of-day",
        documentation=(
            "What a clock in Sweden shows when the slot begins, as ge08:00; repeat it"
            " for a range."
        ),
    )
    day_of_week = TokenParameter(
        data_key="day-of-week",
        codes=DAYS,
        system=DAYS_OF_WEEK,
        own="slot-day-of-week",
        documentation="The Swedish calendar day on which the slot begins.",
    )
    first_per = Choice(
        of=("unit",),
        data_key="first-per",
        own="slot-first-per",
        documentation=(
            "unit: of the slots that fit, the earliest of each unit only. total is"
            " then the number of units with a slot."
        ),
    )
    sort = Choice(of=("start", "-start"), data_key="_sort")
    count = count_parameter()
    total = total_parameter()
    include = include_parameter()
    include_iterate = include_iterate_parameter()
    cursor = Opaque(data_key="_cursor", read=SlotCursor.parse)


def slot_criteria(
    query: SlotQuery, vocabulary: Vocabulary, snapshot: Snapshot
) -> SlotCriteria:
    """
    Return the criteria of a search for slots.

    Args:
        query: The values.
        vocabulary: Our canonicals.
        snapshot: Who has which role at a unit.
    """
    return SlotCriteria(
        selector=Selector(
            time_types=time_type_criteria(
                (
                    *query.service_type,
                    *query.service_type_below,
                    *query.service_type_in,
                ),
                vocabulary,
            ),
            other_time_types=time_type_criteria(
                (*query.service_type_not, *query.service_type_not_in), vocabulary
            ),
            units=units_from_ids(query.location),
            offerings=query.healthcare_service,
            schedules=query.schedule,
            performers=units_from_ids(query.practitioner),
            actors=_actors(query, snapshot),
            organizations=units_from_ids(query.organization),
            sources=sources_from_uris(query.source, vocabulary),
            near=query.near,
        ),
        start=query.start.start,
        before=query.start.before,
        ends_from=query.end.start,
        ends_before=query.end.before,
        times=_times(query),
        hours=_hours(query),
        descending=query.sort == "-start",
        count=query.count,
        after=None if query.cursor is None else query.cursor.after,
        first_per_unit=query.first_per is not None,
        shown=None if query.cursor is None else query.cursor.shown,
        counted=query.total != "none",
    )


def statuses_of(query: SlotQuery) -> Tokens:
    """Return the statuses to find; R4's `:not` stands for all others."""
    if not query.status_not:
        return query.status
    others = (
        tuple(
            Token(None, status)
            for status in _STATUSES
            if status not in {token.code for token in group}
        )
        for group in query.status_not
    )
    return (*query.status, *others)


def _times(query: SlotQuery) -> frozenset[TimeslotToken] | None:
    """Return the only times to find: none where an element that all have is missing."""
    absent = (
        *(query.no_service_type, query.no_start, query.no_end),
        *(query.no_status, query.no_schedule),
    )
    if any(absent):
        return frozenset()
    if not query.id:
        return None
    return frozenset.intersection(
        *(
            frozenset(
                time for token in group if (time := _timeslot(token.code)) is not None
            )
            for group in query.id
        )
    )


def _timeslot(text: str | None) -> TimeslotToken | None:
    try:
        return TimeslotToken.parse(text or "")
    except ValueError:
        return None


def _hours(query: SlotQuery) -> WeeklyHours | None:
    if query.time_of_day is None and not query.day_of_week:
        return None
    days = ALL_DAYS.intersection(
        *({DAYS.index(token.code) for token in group} for group in query.day_of_week)
    )
    minutes = ALL_MINUTES if query.time_of_day is None else query.time_of_day
    return WeeklyHours(minutes=minutes, days=days)


def time_type_criteria(
    groups: tuple[tuple[Token, ...], ...], vocabulary: Vocabulary
) -> tuple[tuple[TimeTypeCriterion, ...], ...]:
    """Return the criteria of `service-type`'s tokens; each group must fit."""
    return tuple(
        tuple(
            criterion
            for token in group
            for criterion in _time_type_criterion(token, vocabulary)
        )
        for group in groups
    )


def _actors(query: SlotQuery, snapshot: Snapshot) -> tuple[Actors, ...]:
    if not (query.actor or query.practitioner_role):
        return ()
    groups = [
        *query.actor,
        *(
            frozenset(Reference(type="PractitionerRole", id=each) for each in group)
            for group in query.practitioner_role
        ),
    ]
    return tuple(actors_from_references(group, snapshot) for group in groups)


def actors_from_references(
    references: Iterable[Reference], snapshot: Snapshot
) -> Actors:
    """
    Return the actors that references of some of `ACTOR_TYPES` name.

    Args:
        references: The references.
        snapshot: Who has which role at a unit.
    """
    ids: dict[str, set[str]] = {kind: set() for kind in ACTOR_TYPES}
    for reference in references:
        ids[reference.type].add(reference.id)
    return Actors(
        units=_hsa_ids(ids["Location"]),
        offerings=frozenset(ids["HealthcareService"]),
        performers=_hsa_ids(ids["Practitioner"]),
        roles=frozenset(
            (unit, performer)
            for unit in set(map(unit_of_practitioner_role, ids["PractitionerRole"]))
            if unit is not None
            for performer in snapshot.staff_of_unit(unit)
            if practitioner_role_id(unit, performer) in ids["PractitionerRole"]
        ),
    )


def units_from_ids(groups: tuple[frozenset[str], ...]) -> tuple[frozenset[HsaId], ...]:
    """Return the units of ids of Location; other ids give none."""
    return tuple(map(_hsa_ids, groups))


def _hsa_ids(texts: Iterable[str]) -> frozenset[HsaId]:
    return frozenset(unit for text in texts if (unit := _unit(text)) is not None)


def _time_type_criterion(
    token: Token, vocabulary: Vocabulary
) -> list[TimeTypeCriterion]:
    if token.system == SNOMED_CT:
        return [SharedTimeType(token.code)]
    own_id = None if token.code is None else TimeTypeId(token.code)
    if token.system is None:
        return [SharedTimeType(token.code), OwnTimeType(None, own_id)]
    unit = vocabulary.unit_of_time_types(token.system)
    return [OwnTimeType(unit, own_id)] if unit else []


def _unit(text: str) -> HsaId | None:
    try:
        return HsaId(text)
    except ValueError:
        return None
