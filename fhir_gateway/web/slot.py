"""
Slot: read and search-type (FHIR R4, 12.10).

The search answers "who offers the earliest time?" over all sources in one call.
"""

from typing import Any, Final

from flask import Response

from fhir_gateway.fhir.bundle import Entry, Mode, searchset
from fhir_gateway.fhir.outcome import issue_from_source_outcome
from fhir_gateway.fhir.search_parameters import (
    Choice,
    DateBounds,
    DateParameter,
    ReferenceParameter,
    SearchSchema,
    Token,
    TokenParameter,
)
from fhir_gateway.fhir.slot import SlotStatus, slot_from_timeslot
from fhir_gateway.fhir.vocabulary import SNOMED_CT, Vocabulary
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.timeslot import TimeslotToken, TimeType
from fhir_gateway.services.directory import Directory
from fhir_gateway.services.slot_search import (
    FoundTimeslot,
    OwnTimeType,
    SharedTimeType,
    SlotCriteria,
    SlotPage,
    TimeTypeCriterion,
)
from fhir_gateway.web.exchange import fhir_response
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.lookup import Lookup
from fhir_gateway.web.resource import InteractionCode, ResourceRoutes, read_route
from fhir_gateway.web.searching import (
    DEFAULT_COUNT,
    count_parameter,
    cursor_parameter,
    cursor_text,
    include_iterate_parameter,
    include_parameter,
    page_url,
    place_from_cursor,
    total_parameter,
    understood_search,
    wrong_cursor,
)

__all__ = ["SlotSearchSchema", "slot_routes", "time_type_criteria", "units_from_ids"]

_R4: Final = "http://hl7.org/fhir/SearchParameter/"


class SlotSearchSchema(SearchSchema):
    """The parameters of a search for slots."""

    service_type = TokenParameter(
        data_key="service-type",
        definition=f"{_R4}Slot-service-type",
        documentation=(
            "A SNOMED CT code finds every unit's own time type of that meaning;"
            " a unit's own coding finds that time type."
        ),
    )
    start = DateParameter(
        definition=f"{_R4}Slot-start",
        documentation=(
            "The slot begins within. A date is a Swedish day. Past slots are never"
            " found."
        ),
    )
    status = TokenParameter(
        codes=[status.value for status in SlotStatus],
        definition=f"{_R4}Slot-status",
        documentation="Only free slots are found.",
    )
    schedule = ReferenceParameter(target="Schedule", definition=f"{_R4}Slot-schedule")
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
    sort = Choice(of=("start", "-start"), data_key="_sort")
    count = count_parameter()
    total = total_parameter()
    include = include_parameter()
    include_iterate = include_iterate_parameter()
    cursor = cursor_parameter()


_SCHEMA: Final = SlotSearchSchema()


def slot_routes(gateway: Gateway) -> ResourceRoutes:
    """Return what can be done with slots."""
    lookup = Lookup(gateway)

    def search_type() -> Response:
        understood = understood_search(_SCHEMA)
        values = understood.values
        criteria = _criteria(values, gateway.vocabulary)
        wants_free = all(
            any(token.code == SlotStatus.FREE.value for token in group)
            for group in values.get("status", ())
        )
        page = gateway.slot_search.search(criteria)
        found = page.found if wants_free else ()
        slots = [_slot(each, page.directory, gateway.vocabulary) for each in found]
        included = lookup.included(
            slots, values.get("include", ()), values.get("include_iterate", ())
        )
        return fhir_response(
            searchset(
                [
                    *(Entry(slot) for slot in slots),
                    *(Entry(each, Mode.INCLUDE) for each in included),
                ],
                base_url=gateway.base_url,
                self_url=page_url(
                    gateway.base_url,
                    "Slot",
                    understood.parameters,
                    cursor=values.get("cursor"),
                ),
                next_url=_next_url(gateway, understood.parameters, page)
                if wants_free
                else None,
                total=_total(values, page, wants_free=wants_free),
                issues=[issue_from_source_outcome(each) for each in page.outcomes],
            )
        )

    return ResourceRoutes(
        type="Slot",
        profile="slot",
        search=_SCHEMA,
        documentation=(
            "Free times of all sources, earliest first. meta.source tells which"
            " source a slot comes from and lastSourceSync when that last answered; a"
            " source whose part is missing is named in an outcome entry."
        ),
        views={
            InteractionCode.READ: read_route("Slot", lookup.slot),
            InteractionCode.SEARCH_TYPE: search_type,
        },
    )


def time_type_criteria(
    groups: tuple[tuple[Token, ...], ...], vocabulary: Vocabulary
) -> tuple[tuple[TimeTypeCriterion, ...], ...]:
    """Return what tokens of `service-type` mean: groups of which each must fit."""
    return tuple(
        tuple(
            criterion
            for token in group
            for criterion in _time_type_criterion(token, vocabulary)
        )
        for group in groups
    )


def units_from_ids(groups: tuple[frozenset[str], ...]) -> tuple[frozenset[HsaId], ...]:
    """Return the units that ids of Location name; other ids name none."""
    return tuple(
        frozenset(unit for text in group if (unit := _unit(text)) is not None)
        for group in groups
    )


def _time_type_criterion(
    token: Token, vocabulary: Vocabulary
) -> list[TimeTypeCriterion]:
    if token.code is None:
        # "system|": any code of that system is more than a search should return.
        return []
    if token.system == SNOMED_CT:
        return [SharedTimeType(token.code)]
    own = OwnTimeType(None, TimeTypeId(token.code))
    if token.system is None:
        return [SharedTimeType(token.code), own]
    unit = vocabulary.unit_of_time_types(token.system)
    return [OwnTimeType(unit, TimeTypeId(token.code))] if unit else []


def _unit(text: str) -> HsaId | None:
    try:
        return HsaId(text)
    except ValueError:
        return None


def _criteria(values: Any, vocabulary: Vocabulary) -> SlotCriteria:  # noqa: ANN401 - what the schema loaded
    start: DateBounds = values.get("start", DateBounds())
    after = None
    if "cursor" in values:
        try:
            after = TimeslotToken.parse(place_from_cursor(values["cursor"]))
        except ValueError as error:
            raise wrong_cursor() from error
    return SlotCriteria(
        time_types=time_type_criteria(values.get("service_type", ()), vocabulary),
        units=units_from_ids(values.get("location", ())),
        offerings=values.get("healthcare_service", ()),
        schedules=values.get("schedule", ()),
        performers=units_from_ids(values.get("practitioner", ())),
        start=start.start,
        before=start.before,
        descending=values.get("sort") == "-start",
        count=values.get("count", DEFAULT_COUNT),
        after=after,
    )


def _slot(
    found: FoundTimeslot, directory: Directory, vocabulary: Vocabulary
) -> dict[str, Any]:
    schedule = found.timeslot.schedule
    offering = directory.offerings.get(found.known.offering)
    time_type = (
        offering.time_type
        if offering
        else TimeType(id=schedule.time_type_id, name=schedule.time_type_name)
    )
    return slot_from_timeslot(
        found.timeslot,
        time_type,
        source=found.known.source,
        answered_at=found.known.answered_at,
        vocabulary=vocabulary,
    )


def _next_url(
    gateway: Gateway, parameters: tuple[tuple[str, str], ...], page: SlotPage
) -> str | None:
    if page.next_after is None:
        return None
    return page_url(
        gateway.base_url,
        "Slot",
        parameters,
        cursor=cursor_text(page.next_after.text),
    )


def _total(values: Any, page: SlotPage, *, wants_free: bool) -> int | None:  # noqa: ANN401 - what the schema loaded
    if not wants_free:
        return 0
    return None if values.get("total") == "none" else page.total
