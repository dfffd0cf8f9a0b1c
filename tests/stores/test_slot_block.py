"""
Blocks: what is packed comes back, and nothing else passes for a block.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest
from builders import NOW, UNIT, VISIT, block, schedule, timeslot
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.model.ids import (
    CareTypeId,
    HsaId,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.timeslot import Schedule, Timeslot
from fhir_gateway.stores.slot_block import (
    BlockKey,
    SlotBlock,
    UnreadableBlock,
    pack,
    unpack,
)

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
HSA_IDS = st.from_regex(r"SE[0-9]{6,10}-[A-Z0-9]{1,5}", fullmatch=True).map(HsaId)
INSTANTS = st.datetimes(
    # hypothesis wants its bounds without a zone.
    datetime(1990, 1, 1),  # noqa: DTZ001 - see above
    datetime(2100, 1, 1),  # noqa: DTZ001 - see above
    timezones=st.just(UTC),
)


@st.composite
def blocks(draw: st.DrawFn) -> SlotBlock:
    """Draw a block of one unit's time type, with any names and any times."""
    key = BlockKey(
        source=draw(st.sampled_from([SourceName("norr"), SourceName("syd")])),
        unit=draw(HSA_IDS),
        time_type_id=draw(TEXT.map(TimeTypeId)),
    )
    schedules = draw(
        st.lists(
            st.builds(
                Schedule,
                unit=st.just(key.unit),
                time_type_id=st.just(key.time_type_id),
                time_type_name=TEXT,
                performer=st.none() | HSA_IDS,
                performer_name=st.none() | TEXT,
                resource_id=st.none() | TEXT.map(ResourceId),
                resource_name=st.none() | TEXT,
                care_type_id=st.none() | TEXT.map(CareTypeId),
                care_type_name=st.none() | TEXT,
            ),
            min_size=1,
            max_size=4,
            unique_by=lambda each: each.token,
        )
    )
    slots = draw(
        st.lists(
            st.builds(
                lambda of, start, minutes, count: Timeslot(
                    schedule=of,
                    start=start.replace(microsecond=0),
                    end=start.replace(microsecond=0) + timedelta(minutes=minutes),
                    count=count,
                ),
                st.sampled_from(schedules),
                INSTANTS,
                st.integers(1, 10_000),
                st.integers(1, 100_000),
            ),
            max_size=12,
        )
    )
    return SlotBlock.of(
        key,
        slots,
        asked_at=draw(INSTANTS),
        answered_at=draw(INSTANTS),
        rejected=draw(st.dictionaries(TEXT, st.integers(1, 1000), max_size=3)),
        earlier_schedules=draw(st.permutations(schedules)),
    )


def parts(of: SlotBlock) -> tuple[object, ...]:
    """Return all that a block says, in a form that can be compared."""
    return (
        of.key,
        of.asked_at,
        of.answered_at,
        of.schedules,
        of.rows.tolist(),
        of.rejected,
    )


@given(blocks())
def test_what_is_packed_comes_back(generated: SlotBlock) -> None:
    """Any block, with any names in it, is the same after a round trip."""
    assert parts(unpack(pack(generated))) == parts(generated)


@given(blocks())
def test_rows_are_sorted_by_start(generated: SlotBlock) -> None:
    """However the times come, the rows stand by start, schedule and length."""
    rows = [(row[0], row[2], row[1]) for row in generated.rows.tolist()]

    assert rows == sorted(rows)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_block(foreign: bytes) -> None:
    """Bytes that nobody packed are unreadable, and nothing worse."""
    with pytest.raises(UnreadableBlock):
        unpack(foreign)


@given(st.binary(max_size=200))
def test_foreign_bytes_behind_our_mark_are_no_block(foreign: bytes) -> None:
    """Our first four bytes alone make no block."""
    with pytest.raises(UnreadableBlock):
        unpack(pack(block())[:4] + foreign)


def test_a_block_that_is_cut_off_is_unreadable() -> None:
    """Cut at any byte, also between two free times, a block is unreadable."""
    whole = pack(block([timeslot(hours) for hours in (3, 4, 5)]))

    for length in range(len(whole)):
        with pytest.raises(UnreadableBlock):
            unpack(whole[:length])


def test_a_block_with_more_behind_it_is_unreadable() -> None:
    """Bytes behind the last free time are not taken for one more."""
    whole = pack(block())

    for more in (b"\x00", bytes(12)):
        with pytest.raises(UnreadableBlock):
            unpack(whole + more)


def test_a_block_of_another_version_is_unreadable() -> None:
    """A newer program's mark is refused with anything after it."""
    with pytest.raises(UnreadableBlock, match="another version"):
        unpack(b"FGB9" + pack(block())[4:])


def repacked(**changed: object) -> bytes:
    """Return a block with another header."""
    whole = pack(block())
    end = 8 + int.from_bytes(whole[4:8], "little")
    header = orjson.dumps(orjson.loads(whole[8:end]) | changed)
    return whole[:4] + len(header).to_bytes(4, "little") + header + whole[end:]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"unit": 7}, id="a number for the unit"),
        pytest.param({"unit": "HSA_1"}, id="a unit that is none"),
        pytest.param({"source": "Norr"}, id="a source that is none"),
        pytest.param({"asked_at": "now"}, id="a text for an instant"),
        pytest.param({"asked_at": 1e300}, id="an instant beyond all time"),
        pytest.param({"schedules": [{}]}, id="a schedule without a name"),
        pytest.param({"schedules": ["a"]}, id="a text for a schedule"),
        pytest.param({"schedules": []}, id="rows of no schedule"),
        pytest.param({"rows": None}, id="no number of rows"),
    ],
)
def test_a_damaged_header_is_unreadable(changed: dict[str, object]) -> None:
    """A header that says something impossible is unreadable, and nothing worse."""
    with pytest.raises(UnreadableBlock):
        unpack(repacked(**changed))


def test_a_block_without_free_times_is_a_block() -> None:
    """A source that has nothing free differs from one that was not asked."""
    key = BlockKey(source=SourceName("norr"), unit=UNIT, time_type_id=VISIT)
    empty = block([], key=key, earlier_schedules=[schedule()])

    found = unpack(pack(empty))

    assert parts(found) == parts(empty)
    assert len(found.rows) == 0


def test_an_earlier_schedule_is_kept_once() -> None:
    """A schedule without free times stays; one that has some is not doubled."""
    evening = schedule(resource_id=ResourceId("2"))

    made = block([timeslot()], earlier_schedules=[evening, schedule(), evening])

    assert made.schedules == (schedule(), evening)


def test_the_newest_name_of_a_schedule_counts() -> None:
    """A performer's name is as it was listed last."""
    renamed = replace(schedule(), time_type_name="Läkarbesök")

    made = block([timeslot(of=renamed)], earlier_schedules=[schedule()])

    assert made.schedules == (renamed,)


def test_a_count_stops_at_what_a_row_can_hold() -> None:
    """More equal times than sixteen bits count are the most that can be said."""
    assert block([timeslot(count=70_000)]).rows["count"].tolist() == [65_535]


def test_equal_schedules_have_one_number() -> None:
    """Times of one schedule are of one, whether or not they share the object."""
    made = block([timeslot(3), timeslot(2, of=replace(schedule())), timeslot(4)])

    assert made.schedules == (schedule(),)
    assert made.rows["schedule"].tolist() == [0, 0, 0]


def test_a_time_beyond_what_a_row_can_hold_is_refused() -> None:
    """A start that 32 bits cannot count never becomes another one."""
    far = replace(
        timeslot(),
        start=datetime(2200, 1, 1, tzinfo=UTC),
        end=datetime(2200, 1, 1, 1, tzinfo=UTC),
    )

    with pytest.raises(OverflowError):
        block([far])


def test_rows_of_a_read_block_cannot_be_written() -> None:
    """What many searches share is read-only."""
    found = unpack(pack(block()))

    with pytest.raises(ValueError, match="read-only"):
        found.rows["count"] = np.uint16(2)


def test_instants_keep_their_fractions() -> None:
    """When it was asked is known to the microsecond."""
    moment = NOW + timedelta(microseconds=123_456)

    assert unpack(pack(block(answered_at=moment))).answered_at == moment
