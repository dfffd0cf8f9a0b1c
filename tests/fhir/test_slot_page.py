"""
Slots from templates equal what the ordinary renderer renders.
"""

import json

from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.slot import slot_from_timeslot
from fhir_gateway.fhir.slot_page import SlotRenderer
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timekeeping import instant_from_epoch
from fhir_gateway.model.timeslot import (
    Schedule,
    StandardTimeType,
    Timeslot,
    TimeType,
)

BASE_URL = "http://127.0.0.1:8080/fhir"
VOCABULARY = Vocabulary()
RENDERER = SlotRenderer(BASE_URL, VOCABULARY)
# What XML can carry; a source can write nothing else.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
SECONDS = st.integers(1_700_000_000, 2_100_000_000)


@given(
    own=st.tuples(
        st.from_regex(r"[A-Z0-9]{1,8}-[A-Z0-9]{1,8}", fullmatch=True), TEXT, TEXT
    ),
    shared=st.lists(st.tuples(TEXT, TEXT), max_size=3),
    source=st.sampled_from(["norr", "mitt"]),
    times=st.tuples(SECONDS, SECONDS, st.integers(1, 100_000)),
    count=st.integers(1, 9),
)
def test_a_filled_template_of_a_slot_is_the_rendered_slot(
    own: tuple[str, str, str],
    shared: list[tuple[str, str]],
    source: str,
    times: tuple[int, int, int],
    count: int,
) -> None:
    """For any name of a unit's time type, both ways give the same resource."""
    unit, code, name = own
    answered_at, start, length = times
    time_type = TimeType(
        id=TimeTypeId(code),
        name=name,
        standard=tuple(
            StandardTimeType(code=code, display=display) for code, display in shared
        ),
    )
    timeslot = Timeslot(
        schedule=Schedule(
            unit=HsaId(unit), time_type_id=time_type.id, time_type_name=name
        ),
        start=instant_from_epoch(start),
        end=instant_from_epoch(start + length),
        count=count,
    )

    template = RENDERER.template(SourceName(source), time_type)
    (filled,) = RENDERER.entries(
        [(template, timeslot.schedule.token, answered_at, start, length, count)]
    )

    rendered = slot_from_timeslot(
        timeslot,
        time_type,
        source=SourceName(source),
        answered_at=instant_from_epoch(answered_at),
        vocabulary=VOCABULARY,
    )
    assert json.loads(filled) == {
        "fullUrl": f"{BASE_URL}/Slot/{timeslot.token}",
        "resource": rendered,
        "search": {"mode": "match"},
    }
