"""
Schedules and services from templates equal what the ordinary renderers render.
"""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir.care_unit import healthcare_service_from_time_type
from fhir_gateway.fhir.include_page import ActorValues, IncludeRenderer, UnitValues
from fhir_gateway.fhir.practitioner import practitioner_role_from_performer
from fhir_gateway.fhir.slot import schedule_from_schedule
from fhir_gateway.fhir.slot_page import rendered_instant
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.ids import (
    HsaId,
    PerformerId,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.timekeeping import instant_from_epoch
from fhir_gateway.model.timeslot import (
    Schedule,
    StandardTimeType,
    TimeType,
    time_type_token,
)
from fhir_gateway.model.unit_ability import UnitAbility

BASE_URL = "http://127.0.0.1:8080/fhir"
VOCABULARY = Vocabulary()
RENDERER = IncludeRenderer(BASE_URL, VOCABULARY)
# What XML can carry; a source can write nothing else.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
HSA_IDS = st.from_regex(r"[A-Z0-9]{1,8}-[A-Z0-9]{1,8}", fullmatch=True).map(HsaId)
UNITS = st.builds(
    CareUnit,
    hsa_id=HSA_IDS,
    name=TEXT,
    source=st.sampled_from([SourceName("norr"), SourceName("mitt")]),
    organization=st.none() | HSA_IDS,
    organization_name=st.none() | TEXT,
    phone=st.none() | TEXT,
    abilities=st.none() | st.frozensets(st.sampled_from(UnitAbility)),
)
TIME_TYPES = st.builds(
    TimeType,
    id=TEXT.map(TimeTypeId),
    name=TEXT,
    standard=st.lists(
        st.builds(StandardTimeType, code=TEXT, display=TEXT), max_size=2
    ).map(tuple),
)


def entry(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource as an included entry."""
    return {
        "fullUrl": f"{BASE_URL}/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
        "search": {"mode": "include"},
    }


@given(
    unit=UNITS,
    time_type=TIME_TYPES,
    performer=st.none()
    | HSA_IDS.map(PerformerId)
    | st.sampled_from([PerformerId("1001"), PerformerId("se1-p")]),
    names=st.tuples(*[st.none() | TEXT] * 3),
    answered_at=st.integers(1_700_000_000, 2_100_000_000),
)
@settings(deadline=None)
def test_a_filled_template_of_a_schedule_is_the_rendered_schedule(
    unit: CareUnit,
    time_type: TimeType,
    performer: PerformerId | None,
    names: tuple[str | None, ...],
    answered_at: int,
) -> None:
    """Of any performer, with or without a name."""
    schedule = Schedule(
        unit=unit.hsa_id,
        time_type_id=time_type.id,
        time_type_name=time_type.name,
        performer=performer,
        performer_name=names[0],
        resource_id=ResourceId("R"),
        resource_name=names[1],
        care_type_name=names[2],
    )

    rendered = RENDERER.of_time_type(unit.source, time_type).schedule(
        schedule.token.encode(),
        UnitValues.of(unit),
        ActorValues.of(schedule),
        rendered_instant(answered_at),
    )

    assert json.loads(rendered) == entry(
        schedule_from_schedule(
            schedule,
            time_type,
            unit_name=unit.name,
            source=unit.source,
            answered_at=instant_from_epoch(answered_at),
            vocabulary=VOCABULARY,
        )
    )


@given(unit=UNITS, time_type=TIME_TYPES)
@settings(deadline=None)
def test_a_filled_template_of_a_service_is_the_rendered_service(
    unit: CareUnit, time_type: TimeType
) -> None:
    """Of any provider, with or without a telephone."""
    rendered = RENDERER.of_time_type(unit.source, time_type).service(
        time_type_token(unit.hsa_id, time_type.id).encode(), UnitValues.of(unit)
    )

    assert json.loads(rendered) == entry(
        healthcare_service_from_time_type(unit, time_type, VOCABULARY)
    )


@given(
    unit=UNITS,
    performer=HSA_IDS,
    name=st.none() | TEXT,
    services=st.lists(HSA_IDS.map(lambda each: f"{each}.0123abcd"), max_size=4),
)
@settings(deadline=None)
def test_a_filled_template_of_a_role_is_the_rendered_role(
    unit: CareUnit, performer: HsaId, name: str | None, services: list[str]
) -> None:
    """For any services, and with or without a name."""
    rendered = RENDERER.role(performer, name, unit, services)

    assert json.loads(rendered) == entry(
        practitioner_role_from_performer(
            performer,
            unit.hsa_id,
            display=name,
            services=services,
            source=unit.source,
            vocabulary=VOCABULARY,
        )
    )
