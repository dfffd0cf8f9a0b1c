"""
What a booking hears of a time shows in searches before the source is asked again.
"""

from datetime import timedelta

import pytest
from builders import NORR, UNIT, VISIT, block, number
from doubles import LeavingStore, MemorySlotStore
from structlog.testing import capture_logs

from fhir_gateway.model.booking import ResultCode, WriteResult
from fhir_gateway.model.errors import SourceFault, TimeslotTaken
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.services.holding import HoldRequest
from fhir_gateway.services.slot_correction import SlotCorrection
from fhir_gateway.stores.slot_block import BlockKey

from .conftest import Wireless

KEY = BlockKey(source=NORR, unit=UNIT, time_type_id=VISIT)


def offered(wireless: Wireless, *listed: Timeslot) -> None:
    """Let the store have a block of these times, asked for a minute ago."""
    wireless.desk.store.put_block(
        block(
            list(listed),
            key=KEY,
            answered_at=wireless.desk.clock() - timedelta(minutes=1),
            earlier_schedules=[wireless.coming().schedule],
        )
    )


def starts(wireless: Wireless) -> list[int]:
    """Return when the times begin that the store has."""
    (found,) = wireless.desk.store.blocks([KEY])
    assert found is not None
    return [int(each) for each in found.rows["start"]]


def at(*times: Timeslot) -> list[int]:
    """Return when times begin."""
    return [int(each.start.timestamp()) for each in times]


@pytest.mark.parametrize("way", ["book", "hold"])
def test_a_time_that_is_gone_is_offered_no_more(wireless: Wireless, way: str) -> None:
    """A fresh look that does not find it takes it out of the block."""
    gone, stays = wireless.coming(24), wireless.coming(25)
    offered(wireless, gone, stays)
    wireless.lists(stays)

    booking = wireless.desk.booking
    token = TimeslotToken.parse(gone.token)
    with pytest.raises(TimeslotTaken):
        booking.hold(HoldRequest(token=token, number=number(0))) if way == "hold" else (
            wireless.desk.book(gone, 0)
        )

    assert starts(wireless) == at(stays)


def test_a_time_that_was_refused_as_gone(wireless: Wireless) -> None:
    """A no for a time that is no longer listed takes it out too."""
    wanted = wireless.coming()
    offered(wireless, wanted)
    wireless.lists(wanted)
    wireless.adapter.result = WriteResult(code=ResultCode.ERROR, text="Upptagen.")

    def go(interaction: Interaction) -> None:
        if interaction is Interaction.MAKE_BOOKING:
            wireless.lists()

    wireless.adapter.before = go
    with pytest.raises(TimeslotTaken):
        wireless.desk.book(wanted, 0)

    assert starts(wireless) == []


def test_a_time_that_is_not_for_this_booking_stays(wireless: Wireless) -> None:
    """What a region does not offer to one booking, it may offer to others."""
    wanted, other = wireless.coming(24), wireless.coming(30)
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    offered(wireless, other)
    wireless.lists()

    with pytest.raises(TimeslotTaken):
        wireless.desk.move(made.id, other)

    assert starts(wireless) == at(other)


def test_a_freed_time_is_offered_again(wireless: Wireless) -> None:
    """After a cancellation the time is looked for, and found."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    offered(wireless)

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.is_offered_again is True
    assert starts(wireless) == at(wanted)


def test_a_freed_time_that_is_not_offered_again(wireless: Wireless) -> None:
    """Its absence is told, and the block does not have it either."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    offered(wireless, wanted)
    wireless.lists()

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.is_offered_again is False
    assert starts(wireless) == []


def test_a_freed_time_that_cannot_be_looked_for(wireless: Wireless) -> None:
    """A source that does not answer says nothing; the cancellation stands."""
    wanted = wireless.coming()
    wireless.lists(wanted)
    made = wireless.desk.book(wanted, 0).booking
    wireless.adapter.errors = {
        Interaction.GET_AVAILABLE_TIMESLOTS: SourceFault("Broken.", source=NORR)
    }

    cancelled = wireless.desk.booking.cancel(made.id)

    assert cancelled.is_offered_again is None


def test_a_store_that_is_away_does_not_stop_a_booking() -> None:
    """The answer to the client does not depend on Redis."""
    store = LeavingStore(MemorySlotStore())
    store.away = {"correct"}
    with capture_logs() as logs:
        SlotCorrection(store).tell(  # type: ignore[arg-type] - it has every method, by __getattr__
            NORR,
            TimeslotToken.parse(block().schedules[0].token + ".1.1"),
            VISIT,
            is_listed=False,
            asked_at=block().asked_at,
        )

    assert [each["event"] for each in logs] == ["slot not corrected"]
