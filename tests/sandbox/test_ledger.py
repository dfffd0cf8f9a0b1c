"""
The ledger: every write, and what is booked.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fhir_gateway.model.timekeeping import exact_instant_text
from fhir_gateway.rivta.client import FaultedWrite

from .consumer import COUNTED_TYPE, NOW, TOLVAN, Consumer, people

THREADS = 16


def test_a_booking_is_a_row(consumer: Consumer) -> None:
    """MakeBooking is one row with all that was sent and what came of it."""
    slot = consumer.slots_of("covid")[0]
    made = consumer.make(slot)

    assert consumer.ledger()["region"] == consumer.name
    assert consumer.writes() == [
        {
            "sequence": 1,
            "received_at": exact_instant_text(NOW),
            "interaction": "MakeBooking",
            "unit": consumer.unit.hsa_id,
            "timeslot": {
                "start": slot.start_time_inclusive,
                "end": slot.end_time_exclusive,
                "time_type_id": slot.time_type_id,
                "performer": slot.performer,
                "resource_id": slot.resource_id,
            },
            "booking_id_sent": None,
            "booking_id": made.booking_id,
            "subject_of_care": TOLVAN,
            "result": "OK",
            "done": True,
            "actor_type": "subject_of_care_agent",
        }
    ]


def test_a_live_booking_is_listed(consumer: Consumer) -> None:
    """What is booked is listed with its time and its resident."""
    slot = consumer.slots_of("covid")[0]
    made = consumer.make(slot)

    assert consumer.bookings() == [
        {
            "booking_id": made.booking_id,
            "unit": consumer.unit.hsa_id,
            "timeslot": {
                "start": slot.start_time_inclusive,
                "end": slot.end_time_exclusive,
                "time_type_id": slot.time_type_id,
                "performer": slot.performer,
                "resource_id": slot.resource_id,
            },
            "subject_of_care": TOLVAN,
            "is_invitation": False,
        }
    ]


def test_writes_are_in_order(consumer: Consumer) -> None:
    """Make, update and cancel are three rows in the order they came."""
    old, new = consumer.slots_of("covid")[:2]
    first = consumer.make(old).booking_id or ""
    consumer.update(first, new)
    second = consumer.bookings()[0]["booking_id"]
    consumer.cancel(second)
    rows = consumer.writes()

    assert [
        (
            row["sequence"],
            row["interaction"],
            row["booking_id_sent"],
            row["booking_id"],
            row["timeslot"]["start"],
        )
        for row in rows
    ] == [
        (1, "MakeBooking", None, first, old.start_time_inclusive),
        (2, "UpdateBooking", first, second, new.start_time_inclusive),
        (3, "CancelBooking", second, second, new.start_time_inclusive),
    ]
    assert consumer.bookings() == []


def test_a_refused_write_is_a_row(norr: Consumer) -> None:
    """A booking of a taken time is a row that was not done."""
    slot = norr.slots()[0]
    norr.make(slot)
    norr.make(slot, people(1)[0])
    row = norr.writes()[-1]

    assert (row["result"], row["done"], row["booking_id"]) == ("ERROR", False, None)


def test_a_faulted_write_is_a_row(mitt: Consumer) -> None:
    """A booking that ends in a fault is a row that was not done."""
    slot = mitt.slots()[0]
    mitt.make(slot)
    with pytest.raises(FaultedWrite):
        mitt.make(slot, people(1)[0])
    row = mitt.writes()[-1]

    assert (row["result"], row["done"], row["booking_id"]) == ("FAULT", False, None)


def test_reads_are_no_rows(consumer: Consumer) -> None:
    """A question leaves no trace in the ledger."""
    consumer.slots()
    consumer.schedule()

    assert consumer.writes() == []


def _codes(consumer: Consumer, key: str) -> list[str]:
    """Let sixteen residents book one time at once."""
    slot = consumer.slots_of(key)[0]

    def book(person: str) -> str:
        try:
            return consumer.make(slot, person).result_code
        except FaultedWrite:
            return "FAULT"

    with ThreadPoolExecutor(THREADS) as pool:
        return sorted(pool.map(book, people(THREADS)))


def test_a_time_is_sold_once(consumer: Consumer) -> None:
    """Sixteen who ask for one time at once get it once."""
    codes = _codes(consumer, "covid")

    assert codes.count("OK") == 1
    assert len(consumer.bookings()) == 1
    assert [row["sequence"] for row in consumer.writes()] == list(range(1, 17))


def test_a_time_for_five_is_sold_five_times(norr: Consumer) -> None:
    """Sixteen who ask for a time with five places at once get it five times."""
    codes = _codes(norr, COUNTED_TYPE)

    assert codes == ["ERROR"] * 11 + ["OK"] * 5
    assert len({row["booking_id"] for row in norr.bookings()}) == 5
