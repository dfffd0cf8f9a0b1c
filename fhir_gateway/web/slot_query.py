"""
The search for slots: its parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final

from marshmallow import ValidationError

from fhir_gateway.fhir.include_graph import Include
from fhir_gateway.fhir.near import NearParameter
from fhir_gateway.fhir.reference import Reference
from fhir_gateway.fhir.resource_table import Form
from fhir_gateway.fhir.search_date import (
    ANY_INSTANT,
    DateBounds,
    DateParameter,
)
from fhir_gateway.fhir.search_parameters import (
    Choice,
    MissingParameter,
    Opaque,
    ReferenceParameter,
    Token,
    TokenParameter,
)
from fhir_gateway.fhir.search_schema import (
    SearchSchema,
)
from fhir_gateway.fhir.slot import SlotStatus
from fhir_gateway.fhir.slot_parameters import (
    HsaIdParameter,
    NameParameter,
    ScheduleActorParameter,
    hsa_ids,
)
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.fhir.terminology_parameters import (
    NarrowerParameter,
    ValueSetParameter,
)
from fhir_gateway.fhir.time_of_day import TimeOfDayParameter
from fhir_gateway.fhir.vocabulary import (
    DAYS_OF_WEEK,
    SLOT_STATUS,
    is_system_of_time_types,
)
from fhir_gateway.model.care_unit import Nearness
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.weekly_hours import DAYS
from fhir_gateway.web.directory.tables import directory_tables
from fhir_gateway.web.searching import (
    DEFAULT_COUNT,
    count_parameter,
    include_iterate_parameter,
    include_parameter,
    source_parameter,
    total_parameter,
)
from fhir_gateway.web.slot_cursor import SlotCursor

__all__ = [
    "STATUSES",
    "Ids",
    "SlotQuery",
    "SlotSearchSchema",
    "Tokens",
    "units_from_ids",
]

_MOST_CHAINS: Final = 1024
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
STATUSES: Final = tuple(status.value for status in SlotStatus)
_R4: Final = "http://hl7.org/fhir/SearchParameter/"

Tokens = tuple[tuple[Token, ...], ...]
Ids = tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotQuery:
    """
    The values of a search for slots; of each group one has to fit.

    Attributes:
        time_of_day: The minutes of a day, as the bits of a number; None for all.
        first_per: `unit` for one slot of each unit; None for all slots.
        cursor: Where the page before ends.
        chains: What each chain of the directory has read, by its name.
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
    location_identifier: tuple[frozenset[HsaId], ...] = ()
    practitioner_identifier: tuple[frozenset[HsaId], ...] = ()
    location_name: Ids = ()
    location_name_contains: Ids = ()
    healthcare_service_name: Ids = ()
    healthcare_service_name_contains: Ids = ()
    practitioner_name: Ids = ()
    practitioner_name_contains: Ids = ()
    near: tuple[tuple[Nearness, ...], ...] = ()
    organization: Ids = ()
    source: Ids = ()
    time_of_day: int | None = None
    day_of_week: Tokens = ()
    first_per: str | None = None
    invitation: Ids = ()
    sort: str = "start"
    count: int = DEFAULT_COUNT
    total: str | None = None
    include: tuple[Include, ...] = ()
    include_iterate: tuple[Include, ...] = ()
    cursor: SlotCursor | None = None
    chains: tuple[tuple[str, Any], ...] = ()


class SlotSearchSchema(SearchSchema[SlotQuery]):
    """
    The parameters of a search for slots.

    A chain through an actor that is none of them is as in the directory's searches.

    Args:
        terminology: Knows the codes of time types; without it, none is below another.
    """

    def __init__(self, terminology: Terminology | None = None) -> None:
        self._tables = directory_tables(terminology)
        self.chain = lru_cache(_MOST_CHAINS)(self._chain)
        super().__init__()
        for field in self.fields.values():
            if isinstance(field, NarrowerParameter | ValueSetParameter):
                field.terminology = terminology

    query = SlotQuery
    beside: ClassVar[frozenset[str]] = frozenset({"chains"})
    refused = _REFUSED

    def _chain(self, name: str) -> Form | None:
        """Return the form of a chain through an actor of schedules, or None."""
        base, _, rest = name.partition(".")
        form = self._tables.form("Schedule", rest) if base == "schedule" else None
        leads_on = form is not None and form.through and rest.startswith("actor")
        return form if leads_on else None

    def declared(self, name: str) -> tuple[str, Any] | None:
        """Return the attribute and the parameter of a name, which may be a chain."""
        own = super().declared(name)
        if own is not None:
            return own
        form = self.chain(name)
        return None if form is None else (name, form.parameter)

    def values_of(self, data: Mapping[str, list[str]]) -> Mapping[str, Any]:
        """
        Return the meanings of the parameters, those of chains by name.

        Raises:
            ValidationError: With each fault, by parameter.
        """
        values: dict[str, Any] = {}
        faults: dict[str, Any] = {}
        chains = {
            name: form
            for name in data
            if name not in self.by_name and (form := self.chain(name)) is not None
        }
        for name, form in chains.items():
            try:
                values[name] = form.parameter.read(data[name])
            except ValidationError as error:
                faults[name] = error.messages
        own = {name: texts for name, texts in data.items() if name not in chains}
        try:
            values |= super().values_of(own)
        except ValidationError as error:
            faults |= error.messages_dict
        if faults:
            raise ValidationError(faults)
        return values

    def query_of(self, values: Mapping[str, Any]) -> SlotQuery:
        """Return the query of the parameters' meanings."""
        # The attribute of a chain is its name, and no other attribute has a dot.
        chains = tuple(each for each in values.items() if "." in each[0])
        if not chains:
            return super().query_of(values)
        own = {name: value for name, value in values.items() if "." not in name}
        return SlotQuery(**own, chains=chains)

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
        codes=STATUSES,
        system=SLOT_STATUS,
        definition=f"{_R4}Slot-status",
        documentation="Only free slots are found.",
    )
    status_not = TokenParameter(
        data_key="status:not", codes=STATUSES, system=SLOT_STATUS
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
    location_identifier = HsaIdParameter(
        data_key="schedule.actor:Location.identifier",
        definition=f"{_R4}Location-identifier",
        documentation="The unit, by its HSA-id.",
    )
    practitioner_identifier = HsaIdParameter(
        data_key="schedule.actor:Practitioner.identifier",
        definition=f"{_R4}Practitioner-identifier",
        documentation="A member of staff, by HSA-id.",
    )
    location_name = NameParameter(
        data_key="schedule.actor:Location.name",
        definition=f"{_R4}Location-name",
        documentation="The beginning of the unit's name, in any case.",
    )
    location_name_contains = NameParameter(
        data_key="schedule.actor:Location.name:contains"
    )
    healthcare_service_name = NameParameter(
        data_key="schedule.actor:HealthcareService.name",
        definition=f"{_R4}HealthcareService-name",
        documentation="The beginning of what the unit calls its time type.",
    )
    healthcare_service_name_contains = NameParameter(
        data_key="schedule.actor:HealthcareService.name:contains"
    )
    practitioner_name = NameParameter(
        data_key="schedule.actor:Practitioner.name",
        definition=f"{_R4}Practitioner-name",
        documentation="The beginning of a part of the name of a member of staff.",
    )
    practitioner_name_contains = NameParameter(
        data_key="schedule.actor:Practitioner.name:contains"
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
    invitation = ReferenceParameter(
        target="Appointment",
        own="slot-invitation",
        documentation=(
            "An open invitation, as Appointment/id: its own slots only, also those that"
            " nobody else is shown; the region is asked as its resident. It needs a"
            " token that may read the Appointment."
        ),
    )
    sort = Choice(of=("start", "-start"), data_key="_sort")
    count = count_parameter()
    total = total_parameter()
    include = include_parameter()
    include_iterate = include_iterate_parameter()
    cursor = Opaque(data_key="_cursor", read=SlotCursor.parse)


def units_from_ids(groups: tuple[frozenset[str], ...]) -> tuple[frozenset[HsaId], ...]:
    """Return the units of ids of Location; other ids give none."""
    return tuple(map(hsa_ids, groups))
