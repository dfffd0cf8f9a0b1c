"""
Each of the eleven interactions in each region.
"""

from datetime import timedelta

import pytest

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.rivta.client import FaultedWrite

from .consumer import (
    COUNTED_TYPE,
    INFO_TYPE,
    LOCKED_TYPE,
    TOLVAN,
    Consumer,
    SettableClock,
    people,
)


def test_time_types_are_the_units_own(consumer: Consumer) -> None:
    """GetAllTimeTypes lists every time type of the unit."""
    listed = consumer.time_types().list_of_time_types

    assert [(each.time_type_id, each.time_type_name) for each in listed] == [
        (each.id, each.name) for each in consumer.unit.time_types
    ]


def test_care_types_are_listed_in_norr(norr: Consumer) -> None:
    """GetAllCareTypes lists how norr groups its time types."""
    names = {each.care_type_name for each in norr.care_types().care_types}

    assert names == {"Vaccination", "Mottagningsbesök", "Provtagning"}


def test_care_types_are_narrowed_by_time_type(norr: Consumer) -> None:
    """GetAllCareTypes with a time type lists the group of that one."""
    covid = norr.time_type("covid")
    listed = norr.care_types(time_type_ids=(covid.id,)).care_types

    assert [each.care_type_id for each in listed] == ["VACC"]


@pytest.mark.parametrize("name", ["mitt", "syd"])
def test_there_are_no_care_types_elsewhere(
    name: str, request: pytest.FixtureRequest
) -> None:
    """GetAllCareTypes is answered with nothing where there are none."""
    assert request.getfixturevalue(name).care_types().care_types == ()


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_performers_are_the_units_staff(
    name: str, request: pytest.FixtureRequest
) -> None:
    """GetAllPerformers lists everybody with their titles."""
    consumer: Consumer = request.getfixturevalue(name)
    listed = consumer.performers().performer_infos

    assert [(each.performer, each.title) for each in listed] == [
        (each.hsa_id, each.title) for each in consumer.unit.performers
    ]


def test_performers_are_narrowed_by_time_type(norr: Consumer) -> None:
    """GetAllPerformers with a time type lists those who do it."""
    locked = norr.time_type(LOCKED_TYPE)
    listed = norr.performers(time_type_ids=(locked.id,)).performer_infos

    assert [each.title for each in listed] == ["Specialistläkare"]


def test_mitt_has_no_performers(mitt: Consumer) -> None:
    """GetAllPerformers is answered with nothing where rooms are booked."""
    assert mitt.performers().performer_infos == ()


def test_a_unit_is_among_its_own_facilities(consumer: Consumer) -> None:
    """GetAllHealthcareFacilities includes the unit that answers."""
    listed = consumer.facilities().healthcare_facility_infos

    assert (consumer.unit.hsa_id, consumer.unit.care_unit.name) in [
        (each.healthcare_facility, each.healthcare_facility_name) for each in listed
    ]


def test_an_unknown_booking_has_no_facilities(norr: Consumer) -> None:
    """GetAllHealthcareFacilities for an unknown booking lists nothing."""
    assert norr.facilities("unknown").healthcare_facility_infos == ()


def test_dates_are_those_of_the_timeslots(consumer: Consumer) -> None:
    """GetAvailableDates lists just the days that GetAvailableTimeslots has times on."""
    days = {each.date for each in consumer.dates()}

    assert days == {(slot.start_time_inclusive or "")[:8] for slot in consumer.slots()}


def test_timeslots_are_narrowed_by_time_type(consumer: Consumer) -> None:
    """GetAvailableTimeslots with a time type lists that one alone."""
    listed = consumer.slots_of("covid")

    assert listed
    assert {slot.time_type_name for slot in listed} == {
        consumer.time_type("covid").name
    }


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_timeslots_are_narrowed_by_performer(
    name: str, request: pytest.FixtureRequest
) -> None:
    """GetAvailableTimeslots with a performer lists that one's times, in any case."""
    consumer: Consumer = request.getfixturevalue(name)
    chosen = consumer.unit.performers[0].hsa_id
    listed = consumer.slots(performer=(chosen.lower(),))

    assert {slot.performer for slot in listed} == {chosen}


def test_a_made_booking_is_in_the_schedule(consumer: Consumer) -> None:
    """What has been booked is in the resident's schedule under its id."""
    person = people(1)[0]
    slot = consumer.slots()[0]
    made = consumer.make(slot, person)
    shown = consumer.schedule(person)

    assert [(each.booking_id, each.start_time_inclusive) for each in shown] == [
        (made.booking_id, slot.start_time_inclusive)
    ]


def test_a_made_booking_has_details(consumer: Consumer) -> None:
    """What has been booked can be read under its id."""
    person = people(1)[0]
    booking_id = consumer.booked(person=person, reason="Andra sprutan")
    shown = consumer.details(booking_id)

    assert (shown.subject_of_care, shown.reason) == (person, "Andra sprutan")
    assert (shown.cancel_booking_allowed, shown.rebooking_allowed) == (True, True)


def test_a_sold_time_is_not_listed(consumer: Consumer) -> None:
    """A time that has been booked is free no more."""
    slot = consumer.slots()[0]
    consumer.make(slot)

    assert slot not in consumer.slots()


def test_a_cancelled_time_is_free_at_once(consumer: Consumer) -> None:
    """A time that has been given back is listed and can be booked again."""
    slot = consumer.slots_of("covid")[0]
    booking_id = consumer.make(slot).booking_id or ""
    result = consumer.cancel(booking_id)

    assert result.result_code == "OK"
    assert slot in consumer.slots()
    assert consumer.make(slot).booking_id not in (None, booking_id)


def test_a_cancelled_booking_is_gone(consumer: Consumer) -> None:
    """A booking that has been cancelled is in no schedule."""
    person = people(1)[0]
    consumer.cancel(consumer.booked(person=person))

    assert consumer.schedule(person) == ()


def test_a_moved_booking_is_at_its_new_time(consumer: Consumer) -> None:
    """UpdateBooking moves the booking and frees the old time."""
    person = people(1)[0]
    old, new = consumer.slots_of("covid")[:2]
    made = consumer.make(old, person)
    result = consumer.update(made.booking_id or "", new, person)
    shown = consumer.schedule(person)

    assert result.result_code == "OK"
    assert [each.start_time_inclusive for each in shown] == [new.start_time_inclusive]
    assert old in consumer.slots_of("covid")


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_a_move_to_a_taken_time_changes_nothing(
    name: str, request: pytest.FixtureRequest
) -> None:
    """UpdateBooking to a time that somebody has is an ERROR and keeps the old time."""
    consumer: Consumer = request.getfixturevalue(name)
    first, second = people(2)
    old, taken = consumer.slots_of("covid")[:2]
    booking_id = consumer.make(old, first).booking_id or ""
    consumer.make(taken, second)
    result = consumer.update(booking_id, taken, first)

    assert result.result_code == "ERROR"
    assert consumer.details(booking_id).start_time_inclusive == old.start_time_inclusive


def test_some_bookings_may_not_be_changed(consumer: Consumer) -> None:
    """One time type says that it can be neither cancelled nor moved."""
    shown = consumer.details(consumer.booked(LOCKED_TYPE))

    assert (shown.cancel_booking_allowed, shown.rebooking_allowed) == (False, False)


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_a_locked_booking_stays(name: str, request: pytest.FixtureRequest) -> None:
    """CancelBooking of a booking that may not be cancelled is an ERROR."""
    consumer: Consumer = request.getfixturevalue(name)
    booking_id = consumer.booked(LOCKED_TYPE)
    result = consumer.cancel(booking_id)

    assert result.result_code == "ERROR"
    assert consumer.details(booking_id).booking_id == booking_id


def test_ids_of_bookings_differ(consumer: Consumer) -> None:
    """No two bookings of a region share an id."""
    ids = [consumer.booked(person=person) for person in people(5)]

    assert len(set(ids)) == 5


# Norr, which is exact


def test_norr_says_in_swedish_that_a_time_is_taken(norr: Consumer) -> None:
    """The second booking of a time is an ERROR with the contract's own example text."""
    slot = norr.slots_of("covid")[0]
    norr.make(slot)
    result = norr.make(slot, people(1)[0])

    assert (result.result_code, result.result_text, result.booking_id) == (
        "ERROR",
        "Tiden har blivit upptagen av en annan patient.",
        None,
    )


def test_norr_says_to_come_fasting(norr: Consumer) -> None:
    """One time type answers a booking with INFO."""
    result = norr.make(norr.slots_of(INFO_TYPE)[0])

    assert (result.result_code, result.result_text) == ("INFO", "Kom fastande.")
    assert result.booking_id


def test_norr_sells_the_whole_tuple(norr: Consumer) -> None:
    """A performer's time without its performer names no time in norr."""
    result = norr.make(norr.slots_of("covid")[0], performer=None)

    assert result.result_code == "ERROR"


def test_norr_keeps_a_moved_bookings_id(norr: Consumer) -> None:
    """UpdateBooking in norr leaves the id as it was."""
    old, new = norr.slots_of("covid")[:2]
    booking_id = norr.make(old).booking_id or ""
    norr.update(booking_id, new)

    assert norr.details(booking_id).start_time_inclusive == new.start_time_inclusive


def test_norr_lists_for_a_booking_its_own_time_type(norr: Consumer) -> None:
    """GetAvailableTimeslots with a booking lists the booking's own time type."""
    booking_id = norr.booked("lakare")
    listed = norr.slots(booking_id=booking_id)

    assert {slot.time_type_id for slot in listed} == {"TT-LAKARE"}


def test_norr_lets_no_message_go_where_none_is_taken(norr: Consumer) -> None:
    """CancelBooking with a message is an ERROR where messages are not allowed."""
    booking_id = norr.booked(INFO_TYPE)

    assert norr.details(booking_id).message_allowed is False
    assert norr.cancel(booking_id, message="Jag är sjuk").result_code == "ERROR"
    assert norr.cancel(booking_id).result_code == "OK"


def test_norr_hides_a_booking_from_others(norr: Consumer) -> None:
    """GetBookingDetails is a fault when another resident asks."""
    booking_id = norr.booked()
    other = Actor.resident(PersonalIdentityNumber(people(1)[0]))

    with pytest.raises(GatewayError):
        norr.details(booking_id, actor=other)


def test_norr_has_invited_a_test_person(norr: Consumer) -> None:
    """Tolvan Tolvansson has a timed invitation with a purpose."""
    invitation = next(each for each in norr.schedule() if each.is_invitation)

    assert (invitation.purpose or "").splitlines()[0] == "Kallelse till läkarbesök"


def test_an_invitation_becomes_a_booking_when_moved(norr: Consumer) -> None:
    """UpdateBooking of an invitation makes it a booking."""
    invitation = next(each for each in norr.schedule() if each.is_invitation)
    booking_id = invitation.booking_id or ""
    norr.update(booking_id, norr.slots(booking_id=booking_id)[0])

    assert norr.details(booking_id).is_invitation is False


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_an_open_invitation_has_no_time(
    name: str, request: pytest.FixtureRequest
) -> None:
    """An open invitation is found by its id alone, and has no time."""
    consumer: Consumer = request.getfixturevalue(name)
    booking_id = consumer.open_invitation()["booking_id"]
    shown = consumer.details(booking_id)

    assert (shown.is_invitation, shown.start_time_inclusive) == (True, None)
    assert booking_id not in [each.booking_id for each in consumer.schedule()]


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_an_open_invitation_is_answered_once(
    name: str, request: pytest.FixtureRequest
) -> None:
    """MakeBooking with an invitation's id books it, and only the first time."""
    consumer: Consumer = request.getfixturevalue(name)
    booking_id = consumer.open_invitation()["booking_id"]
    first, second = consumer.slots(booking_id=booking_id)[:2]
    results = [consumer.make(slot, booking_id=booking_id) for slot in (first, second)]

    assert [each.result_code for each in results] == ["OK", "ERROR"]
    assert consumer.details(booking_id).start_time_inclusive == (
        first.start_time_inclusive
    )


def test_a_group_time_is_sold_to_five(norr: Consumer) -> None:
    """A time for five takes five bookings and no sixth."""
    slot = norr.slots_of(COUNTED_TYPE)[0]
    codes = [norr.make(slot, person).result_code for person in people(6)]

    assert codes == ["OK"] * 5 + ["ERROR"]


# Aggregation


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_an_aggregated_schedule_covers_all_units(
    name: str, request: pytest.FixtureRequest
) -> None:
    """One question to the county's address finds bookings at two units."""
    consumer: Consumer = request.getfixturevalue(name)
    person = people(1)[0]
    for unit in consumer.region.units[:2]:
        covid = consumer.time_type("covid", unit).id
        consumer.make(consumer.slots(unit, time_type_id=covid)[0], person)
    answer = consumer.schedule_answer(person, consumer.region.aggregated_address)
    units = {unit.hsa_id for unit in consumer.region.units[:2]}

    assert {each.healthcare_facility for each in answer.response.timeslot_detail} == (
        units
    )
    assert {
        (each.logical_address, each.status_code)
        for each in answer.processing_status or ()
    } == {(unit, "DataFromSource") for unit in units}


def test_a_schedule_at_a_unit_has_its_own_times_only(norr: Consumer) -> None:
    """A question to one unit leaves out the bookings at another."""
    person = people(1)[0]
    other = norr.region.units[1]
    norr.make(norr.slots(other)[0], person)

    assert norr.schedule(person) == ()


def test_mitt_does_not_aggregate(mitt: Consumer) -> None:
    """A county's address is unknown in mitt."""
    with pytest.raises(GatewayError) as raised:
        mitt.schedule(TOLVAN, address="25")

    assert raised.value.code == "VP004"  # type: ignore[attr-defined] # a SourceFault


def test_only_the_schedule_is_aggregated(norr: Consumer) -> None:
    """A county's address has no route for the other contracts."""
    with pytest.raises(GatewayError) as raised:
        norr.facilities(address="25")

    assert raised.value.code == "VP004"  # type: ignore[attr-defined] # a SourceFault


def test_a_unit_that_fails_is_missing_and_said_so(norr: Consumer) -> None:
    """A fault for one unit leaves its times out and shows in ProcessingStatus alone."""
    person = people(1)[0]
    for unit in norr.region.units[:2]:
        norr.make(norr.slots(unit)[0], person)
    failing, well = (unit.hsa_id for unit in norr.region.units[:2])
    norr.fault("vp-fault", units=[failing])
    answer = norr.schedule_answer(person, "25")

    assert [each.healthcare_facility for each in answer.response.timeslot_detail] == [
        well
    ]
    assert {
        each.logical_address: each.status_code
        for each in answer.processing_status or ()
    } == {failing: "NoDataSynchFailed", well: "DataFromSource"}


def test_a_write_to_an_unknown_address_reaches_nobody(norr: Consumer) -> None:
    """A write that the platform cannot route is not in the ledger as done."""
    slot = norr.slots()[0]
    request = norr.make_request(slot)
    with pytest.raises(FaultedWrite) as raised:
        norr.send_make(request, address="SE2321009902-1001")

    assert raised.value.fault.platform_code == "VP004"
    assert norr.bookings() == []


def test_an_unknown_booking_has_no_free_times(norr: Consumer) -> None:
    """GetAvailableTimeslots with an unknown booking lists nothing in norr."""
    assert norr.slots(booking_id="unknown") == ()


def test_time_types_are_narrowed_by_care_type(norr: Consumer) -> None:
    """GetAvailableTimeslots with a care type lists that group alone."""
    listed = norr.slots(care_type_id="PROV")

    assert {slot.care_type_id for slot in listed} == {"PROV"}


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_a_booking_moves_only_to_a_unit_of_its_kind(
    name: str, request: pytest.FixtureRequest
) -> None:
    """UpdateBooking to a unit that is not among the facilities is an ERROR."""
    consumer: Consumer = request.getfixturevalue(name)
    booking_id = consumer.booked()
    other = consumer.region.units[1]
    result = consumer.update(booking_id, consumer.slots(other)[0])

    assert other.hsa_id not in [
        each.healthcare_facility
        for each in consumer.facilities(booking_id).healthcare_facility_infos
    ]
    assert result.result_code == "ERROR"


def test_a_time_that_is_not_planned_cannot_be_booked(norr: Consumer) -> None:
    """MakeBooking of a time that was never listed is an ERROR."""
    slot = norr.slots()[0]
    result = norr.make(slot, end_time_exclusive=slot.start_time_inclusive)

    assert (result.result_code, result.result_text) == (
        "ERROR",
        "Tiden finns inte längre. Välj en annan tid.",
    )


def test_a_time_that_has_begun_cannot_be_booked(
    norr: Consumer, clock: SettableClock
) -> None:
    """MakeBooking of a time that has begun is an ERROR."""
    slot = norr.slots()[0]
    clock.instant += timedelta(days=89)

    assert norr.make(slot).result_code == "ERROR"


@pytest.mark.parametrize("name", ["norr", "syd"])
def test_a_locked_booking_cannot_be_moved(
    name: str, request: pytest.FixtureRequest
) -> None:
    """UpdateBooking of a booking that may not be moved is an ERROR."""
    consumer: Consumer = request.getfixturevalue(name)
    old, new = consumer.slots_of(LOCKED_TYPE)[:2]
    booking_id = consumer.make(old).booking_id or ""

    assert consumer.update(booking_id, new).result_code == "ERROR"
    assert consumer.details(booking_id).start_time_inclusive == old.start_time_inclusive


def test_nobody_moves_anothers_booking(norr: Consumer) -> None:
    """UpdateBooking for another resident than the booking's is an ERROR."""
    first, second = people(2)
    old, new = norr.slots_of("covid")[:2]
    booking_id = norr.make(old, first).booking_id or ""
    result = norr.update(booking_id, new, second)

    assert (result.result_code, result.result_text) == (
        "ERROR",
        "Bokningen finns inte.",
    )


def test_an_open_invitation_cannot_be_cancelled(norr: Consumer) -> None:
    """CancelBooking of an invitation without a time is an ERROR."""
    booking_id = norr.open_invitation()["booking_id"]

    assert norr.cancel(booking_id).result_code == "ERROR"
