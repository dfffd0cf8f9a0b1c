"""
Open invitations in the journal: one id from the invitation to its booking.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from granting import GRANT

from fhir_gateway.model.booking import Booking, BookingPermissions, BookingStatus
from fhir_gateway.model.errors import Conflict
from fhir_gateway.model.ids import BookingId, TimeTypeId
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import (
    BookingIdTaken,
    BookingState,
    Journal,
    WriteIntent,
)
from fhir_gateway.stores.sealing import Seal

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    START,
    UNIT,
    live_tokens,
    number,
    reported,
    rows,
    subject,
    timeslot,
)

LAG = timedelta(seconds=90)
INVITED = Booking(
    unit=UNIT,
    booking_id=BookingId("B1"),
    start=None,
    end=None,
    time_type_id=TimeTypeId("besok"),
    time_type_name="Besök",
    is_invitation=True,
)


def adopted(
    journal: Journal, who: int = 1, *, booking: Booking = INVITED
) -> OpenInvitation:
    """Return the record of an invitation that is reported."""
    found = journal.invitations.adopt(NORR, booking, number(who), lags_within=LAG)
    assert found is not None
    return found


def taken_up(
    journal: Journal, invitation: OpenInvitation, who: int = 1, hours: int = 0
) -> WriteIntent:
    """Return the sent MAKE that answers an invitation."""
    claimed = journal.intents.claim_make(
        source=NORR,
        timeslot=timeslot(hours),
        subject=subject(who),
        grant=GRANT,
        invitation=invitation,
    )
    return journal.intents.mark_sent(claimed, lease=LEASE)


def test_an_invitation_is_recorded(journal: Journal) -> None:
    """It has its unit and time type, an id of ours, and no time."""
    found = adopted(journal)

    assert found == replace(
        found,
        version=1,
        status=BookingStatus.PROPOSED,
        source=NORR,
        schedule=timeslot().schedule,
        booking_id=BookingId("B1"),
        number=number(1),
        permissions=BookingPermissions(),
    )
    assert journal.invitations.find(found.id) == found
    assert journal.invitations.list_of_resident(number(1)) == (found,)
    assert journal.invitations.list_of_resident(number(2)) == ()
    assert live_tokens(journal) == {}


def test_an_invitation_is_recorded_once(journal: Journal, database: Database) -> None:
    """Reported again it is the same record, unchanged."""
    first = adopted(journal)
    before = rows(database)

    assert adopted(journal) == first
    assert rows(database) == before


def test_another_residents_invitation_is_refused(journal: Journal) -> None:
    """An id that is another resident's invitation is no report about this one."""
    adopted(journal, 1)

    with pytest.raises(BookingIdTaken):
        adopted(journal, 2)


def test_a_changed_invitation_gets_a_version(journal: Journal) -> None:
    """Another time type, as the source reports it, is a new version."""
    invitation = adopted(journal)
    same = journal.invitations.confirm(invitation, INVITED)
    changed = journal.invitations.confirm(
        invitation, replace(INVITED, time_type_name="Återbesök", permissions=CANCEL)
    )

    assert same.version == 1
    assert (changed.version, changed.permissions) == (2, CANCEL)
    assert changed.schedule.time_type_name == "Återbesök"


def test_a_withdrawn_invitation_is_cancelled(journal: Journal) -> None:
    """It stays, as cancelled; reported again it is open again, with the same id."""
    invitation = adopted(journal)
    gone = journal.invitations.withdraw(invitation)
    again = adopted(journal)

    assert gone == replace(
        gone, id=invitation.id, version=2, status=BookingStatus.CANCELLED
    )
    assert again == replace(
        again, id=invitation.id, version=3, status=BookingStatus.PROPOSED
    )


def test_the_booking_has_the_invitations_id(journal: Journal) -> None:
    """While it is booked, and once it is, the invitation is no more."""
    invitation = adopted(journal)
    intent = taken_up(journal, invitation)
    pending = journal.lookups.get(invitation.id)
    record = journal.settlements.settle_booked(
        intent, booking_id=BookingId("B1"), permissions=CANCEL
    )

    assert (pending.state, pending.version) == (BookingState.PENDING, 2)
    assert (record.id, record.state) == (invitation.id, BookingState.BOOKED)
    assert record.version > pending.version
    assert journal.invitations.find(invitation.id) is None
    assert journal.invitations.list_of_resident(number(1)) == ()
    assert journal.invitations.was_invitation(invitation.id)


def test_an_invitation_is_taken_up_once(journal: Journal) -> None:
    """A second booking of it is a conflict, whether the first is settled or not."""
    invitation = adopted(journal)
    taken_up(journal, invitation)

    with pytest.raises(Conflict):
        taken_up(journal, invitation, hours=1)
    assert live_tokens(journal) == {timeslot().token: 1}


def test_a_withdrawn_invitation_is_not_taken_up(journal: Journal) -> None:
    """What its unit has taken back cannot be booked."""
    invitation = adopted(journal)
    journal.invitations.withdraw(invitation)

    with pytest.raises(Conflict):
        taken_up(journal, invitation)


def test_a_refused_try_leaves_it_open(journal: Journal) -> None:
    """After a refusal it is proposed again, and another time can be booked."""
    invitation = adopted(journal)
    refused = journal.settlements.settle_refused(
        taken_up(journal, invitation), message="Nej"
    )
    open_again = journal.invitations.find(invitation.id)
    assert open_again is not None
    second = taken_up(journal, open_again, hours=1)
    record = journal.settlements.settle_booked(
        second, booking_id=BookingId("B1"), permissions=CANCEL
    )

    assert (open_again.status, open_again.version) == (
        BookingStatus.PROPOSED,
        refused.version,
    )
    assert record.version > refused.version
    assert (record.id, record.timeslot, record.message) == (
        invitation.id,
        timeslot(1),
        None,
    )
    assert live_tokens(journal) == {timeslot(1).token: 1}


def test_a_try_without_a_trace_leaves_it_open(journal: Journal) -> None:
    """A write that left no trace at its source leaves the invitation open."""
    invitation = adopted(journal)
    intent = taken_up(journal, invitation)
    journal.settlements.settle_unknown(intent)
    assert journal.invitations.find(invitation.id) is None
    journal.settlements.settle_left_no_trace(intent, look_again_in=LAG)

    found = journal.invitations.find(invitation.id)
    assert found is not None
    assert found.status is BookingStatus.PROPOSED


def test_a_booking_made_elsewhere_has_its_id(journal: Journal) -> None:
    """When the unit books it by telephone, the Appointment keeps its id."""
    invitation = adopted(journal)
    record = journal.reports.adopt(
        source=NORR, booking=reported("B1"), timeslot=timeslot(), number=number(1)
    )

    assert (record.id, record.version) == (invitation.id, 2)
    assert (record.state, record.timeslot) == (BookingState.BOOKED, timeslot())
    assert record.booking_id == "B1"
    assert record.confirmed_at is not None
    assert journal.invitations.find(invitation.id) is None
    assert journal.lookups.list_of_resident(number(1)) == (record,)


def test_another_residents_booking_gets_its_own_id(journal: Journal) -> None:
    """A booking with that id for somebody else does not take the invitation up."""
    invitation = adopted(journal, 1)
    record = journal.reports.adopt(
        source=NORR, booking=reported("B1"), timeslot=timeslot(), number=number(2)
    )

    assert record.id != invitation.id
    assert journal.invitations.find(invitation.id) == invitation


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_late_report_is_no_second_invitation(
    journal: Journal, *, is_cancelled: bool
) -> None:
    """A booked one, or one cancelled just now, that is reported as open is not new."""
    record = journal.settlements.settle_booked(
        taken_up(journal, adopted(journal)),
        booking_id=BookingId("B1"),
        permissions=CANCEL,
    )
    if is_cancelled:
        intent = journal.intents.claim_cancel(record, grant=GRANT)
        journal.settlements.settle_cancelled(
            journal.intents.mark_sent(intent, lease=LEASE)
        )

    found = journal.invitations.adopt(NORR, INVITED, number(1), lags_within=LAG)
    assert found is None
    assert journal.invitations.list_of_resident(number(1)) == ()


def test_an_invitation_anew_is_a_new_one(journal: Journal) -> None:
    """Long after the cancellation, the same id of the unit invites anew."""
    first = adopted(journal)
    record = journal.settlements.settle_booked(
        taken_up(journal, first), booking_id=BookingId("B1"), permissions=CANCEL
    )
    journal.settlements.settle_cancelled(
        journal.intents.mark_sent(
            journal.intents.claim_cancel(record, grant=GRANT), lease=LEASE
        )
    )
    second = journal.invitations.adopt(
        NORR, INVITED, number(1), lags_within=timedelta()
    )

    assert second is not None
    assert second.id != first.id
    assert journal.lookups.get(first.id).state is BookingState.CANCELLED
    assert journal.invitations.list_of_resident(number(1)) == (second,)


def test_nothing_of_a_resident_stands_in_clear(
    journal: Journal, database: Database
) -> None:
    """Neither the number nor the region's id is readable in the table."""
    marked = replace(INVITED, booking_id=BookingId("REGION-4711"))
    adopted(journal, booking=marked)

    text = repr(rows(database)["invitation"])
    assert number(1).reveal() not in text
    assert "REGION-4711" not in text


def test_an_old_invitation_is_deleted(journal: Journal, database: Database) -> None:
    """What no source has confirmed for long goes; what is booked stays."""
    adopted(journal)
    booked = adopted(journal, booking=replace(INVITED, booking_id=BookingId("B2")))
    taken_up(journal, booked)

    assert journal.upkeep.wipe_invitations(confirmed_before=START) == 1
    assert len(rows(database)["invitation"]) == 1
    assert journal.invitations.was_invitation(booked.id)


def test_invitations_are_resealed(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """With a new key the invitation is found by what is sealed and hashed anew."""
    invitation = adopted(journal)
    new = Seal.new_key()
    both = Journal(database, Seal((new, *keys)))
    list(both.upkeep.reseal())
    alone = Journal(database, Seal((new,)))

    assert alone.invitations.find(invitation.id) == invitation
    assert alone.invitations.list_of_resident(number(1)) == (invitation,)
    assert (
        alone.invitations.find_by_booking_id(NORR, UNIT, BookingId("B1")) == invitation
    )
