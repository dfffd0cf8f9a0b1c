"""
Upkeep: wiping after the visit, and sealing anew under a new key.
"""

from datetime import timedelta

import pytest
from granting import GRANT

from fhir_gateway.model.booking import CancellationReason
from fhir_gateway.model.client_request import (
    RecordedAnswer,
    RepeatedRequest,
    RequestKey,
)
from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.ids import BookingId
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import (
    Journal,
)
from fhir_gateway.stores.sealing import Seal, SealBroken

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    START,
    UNIT,
    booked,
    live_tokens,
    number,
    reported,
    rows,
    sent,
    subject,
    timeslot,
)

END = START + timedelta(minutes=30)
AFTER = END + timedelta(seconds=1)
KEY = RequestKey(client="app", key="k", fingerprint="f")


def lived(journal: Journal) -> str:
    """Book with everything personal that there is; return our id."""
    journal.requests.begin(KEY, lease=LEASE)
    made = journal.intents.mark_sent(
        journal.intents.claim_make(
            source=NORR,
            timeslot=timeslot(),
            subject=subject(),
            request=KEY,
            grant=GRANT,
        ),
        lease=LEASE,
    )
    record = journal.settlements.settle_booked(
        made, booking_id=BookingId("B1"), permissions=CANCEL, message="Ta med leg"
    )
    reason = CancellationReason(text="Frisk", stated="Tolvan är frisk")
    refused = journal.intents.mark_sent(
        journal.intents.claim_cancel(record, reason=reason, grant=GRANT), lease=LEASE
    )
    journal.settlements.settle_refused(refused, message="Nej, Tolvan")
    journal.requests.close(
        KEY, RecordedAnswer(status=201, headers={}, body="{}"), visit=timeslot().start
    )
    return record.id


def test_booking_is_wiped_after_it_has_ended(journal: Journal) -> None:
    """No lookup finds it: by id, number, region's id, alarm or request key."""
    booking = lived(journal)

    assert journal.upkeep.wipe(ended_before=AFTER) == 1
    with pytest.raises(NotFound):
        journal.lookups.get(booking)
    assert journal.lookups.list_of_resident(number()) == ()
    assert journal.lookups.find_by_booking_id(NORR, UNIT, BookingId("B1")) is None
    latest = journal.lookups.find_latest(booking)
    assert latest is not None
    assert latest.message is None
    journal.requests.begin(KEY, lease=LEASE)


def test_nothing_of_a_wiped_booking_can_be_unsealed(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """What is left opens to nothing, even for who has the key."""
    lived(journal)
    journal.upkeep.wipe(ended_before=AFTER)

    seal = Seal(keys)
    opened = [
        seal.unseal(value)
        for table in rows(database).values()
        for row in table
        for value in row
        if isinstance(value, str) and value.startswith("gAAAA")
    ]
    assert opened == [{}]


def test_booking_is_not_wiped_before(journal: Journal) -> None:
    """A visit that has not ended that long ago is kept."""
    booking = lived(journal)

    assert journal.upkeep.wipe(ended_before=END) == 0
    assert journal.lookups.get(booking).subject == subject()


def test_unsettled_booking_is_not_wiped(journal: Journal) -> None:
    """Somebody may have to look into it."""
    intent = sent(journal)

    assert journal.upkeep.wipe(ended_before=AFTER) == 0
    journal.settlements.settle_refused(intent, message=None)
    assert journal.upkeep.wipe(ended_before=AFTER) == 1
    assert journal.upkeep.wipe(ended_before=AFTER) == 0


def test_wiped_booking_leaves_its_region_free_to_use_its_id(journal: Journal) -> None:
    """A region that uses an id again, for somebody else, is believed."""
    lived(journal)
    journal.upkeep.wipe(ended_before=AFTER)

    adopted = journal.reports.adopt(
        source=NORR, booking=reported("B1"), timeslot=timeslot(48), number=number(1)
    )

    assert adopted.number == number(1)
    assert live_tokens(journal) == {timeslot().token: 1}


def test_journal_of_wiped_bookings_can_be_started(journal: Journal) -> None:
    """The remaining rows still show whether the keys are right."""
    lived(journal)
    journal.upkeep.wipe(ended_before=AFTER)

    journal.upkeep.check_keys()


def test_resealed_journal_needs_the_new_key_alone(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """After resealing, bookings are found and opened without the old key."""
    booking = lived(journal)
    booked(journal, 1, 5, booking_id="B2")
    new = Seal.new_key()
    both = Journal(database, Seal((new, *keys)))
    with pytest.raises(SealBroken):
        Journal(database, Seal((new,))).lookups.get(booking)

    total = both.upkeep.count_sealed_rows()
    done = list(both.upkeep.reseal())

    alone = Journal(database, Seal((new,)))
    assert sum(each for each, _ in done) == total
    assert alone.lookups.get(booking).subject == subject()
    assert [each.id for each in alone.lookups.list_of_resident(number())] == [booking]
    latest = alone.lookups.find_latest(booking)
    assert latest is not None
    assert latest.message == "Nej, Tolvan"
    assert next(both.upkeep.reseal())[1] == 0


def test_request_keys_hold_under_both_keys(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """A repeat is still recognised, and its answer opened, until its key is purged."""
    lived(journal)
    both = Journal(database, Seal((Seal.new_key(), *keys)))
    list(both.upkeep.reseal())

    with pytest.raises(RepeatedRequest) as caught:
        both.requests.begin(KEY, lease=LEASE)

    assert caught.value.answer is not None


def test_resealing_goes_through_every_row(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """More rows than one batch has are resealed, each once."""
    for which in range(210):
        journal.reports.adopt(
            source=NORR,
            booking=reported(f"B{which}"),
            timeslot=timeslot(which),
            number=number(which),
        )
    new = Seal.new_key()

    done = list(Journal(database, Seal((new, *keys))).upkeep.reseal())

    assert done == [(200, 200), (10, 10)]
    alone = Journal(database, Seal((new,)))
    assert len(alone.lookups.list_of_resident(number(209))) == 1
