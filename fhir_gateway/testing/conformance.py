"""
Tests of what every adapter promises (`adapters/protocol.py`).

The author of an adapter writes a subclass with a name that begins with Test, and with a
fixture `source`:

    class TestMyAdapter(AdapterConformance):
        @pytest.fixture(name="source")
        def _source(self) -> Iterator[SourceUnderTest]:
            ...

A test of an ability that the adapter lacks is skipped. The class has over 400 lines,
since pytest collects the tests of one class, and an author names one.
"""

import time
from collections.abc import Callable
from datetime import date
from typing import Final, TypeVar

import pytest

from fhir_gateway.adapters.protocol import (
    ABILITIES,
    ListsAvailableDates,
    ListsBookings,
    ListsPerformers,
    ListsUnits,
)
from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import Booking, ResultCode, WriteResult
from fhir_gateway.model.errors import (
    GatewayError,
    Refused,
    SourceFault,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import BookingId, LogicalAddress
from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.person import SubjectOfCare
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.model.timeslot import FreeTimes, Timeslot
from fhir_gateway.testing.source_under_test import Failure, SourceUnderTest

__all__ = ["AdapterConformance"]

Ability = TypeVar("Ability")

_TIMEOUT_S: Final = 10.0
_SOON_S: Final = 0.3
_UNKNOWN_ID: Final = BookingId("B-0")
_EVERY_FAILURE: Final = [pytest.param(each, id=each.name) for each in Failure]
_EVERY_WRITE: Final = [
    pytest.param(each, id=each.name)
    for each in (
        scheduling.MAKE_BOOKING,
        scheduling.UPDATE_BOOKING,
        scheduling.CANCEL_BOOKING,
    )
]


class AdapterConformance:
    """The promises of `SchedulingAdapter` and of the abilities."""

    # What the source supports

    def test_what_is_supported_has_its_method(self, source: SourceUnderTest) -> None:
        """The adapter has a method for each interaction in `supports`."""
        missing = {
            interaction
            for kind, interaction in ABILITIES.items()
            if interaction in source.adapter.supports
            and not isinstance(source.adapter, kind)
        }

        assert missing == set()

    def test_a_write_can_be_looked_for(self, source: SourceUnderTest) -> None:
        """A source with bookings can return them, by id or for a resident."""
        supports = source.adapter.supports
        if scheduling.MAKE_BOOKING not in supports:
            pytest.skip("the source has no bookings")

        assert supports & {
            scheduling.GET_BOOKING_DETAILS,
            scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
        }

    def test_the_time_type_is_offered(self, source: SourceUnderTest) -> None:
        """The unit's list of time types has the time type of the test."""
        answer = source.adapter.get_all_time_types(
            GetAllTimeTypes(
                unit=source.unit,
                actor=Actor.agent(source.agent),
                subject_of_care=source.new_resident().number,
            ),
            timeout=_TIMEOUT_S,
        )

        assert source.time_type_id in {each.id for each in answer.items}
        assert answer.rejected == ()

    def test_units_are_listed(self, source: SourceUnderTest) -> None:
        """The list of units has the unit."""
        answer = _adapter_with(source, ListsUnits).get_all_healthcare_facilities(
            GetAllHealthcareFacilities(
                unit=source.unit,
                actor=Actor.agent(source.agent),
                subject_of_care=source.new_resident().number,
            ),
            timeout=_TIMEOUT_S,
        )

        assert source.unit in {each.hsa_id for each in answer.items}

    def test_performers_are_listed(self, source: SourceUnderTest) -> None:
        """The list of performers is complete, and has nobody twice."""
        answer = _adapter_with(source, ListsPerformers).get_all_performers(
            GetAllPerformers(
                unit=source.unit,
                actor=Actor.agent(source.agent),
                subject_of_care=source.new_resident().number,
            ),
            timeout=_TIMEOUT_S,
        )

        named = [each.hsa_id for each in answer.items]
        assert answer.rejected == ()
        assert len(named) == len(set(named))

    # Free times

    def test_times_are_aware(self, source: SourceUnderTest) -> None:
        """Every start and end has an offset, and no time ends before it starts."""
        free = _free_times(source)

        assert free.timeslots
        assert all(
            each.start.utcoffset() is not None
            and each.end.utcoffset() is not None
            and each.start < each.end
            for each in free.timeslots
        )

    def test_times_lie_in_the_days_asked_for(self, source: SourceUnderTest) -> None:
        """The first and the last day are included, and no other day."""
        days = sorted(
            {civil_date(each.start) for each in _free_times(source).timeslots}
        )
        first, last = days[0], days[len(days) // 2]

        free = _free_times(source, first_day=first, last_day=last)

        assert {civil_date(each.start) for each in free.timeslots} == {
            each for each in days if first <= each <= last
        }

    def test_times_are_of_what_is_asked_for(self, source: SourceUnderTest) -> None:
        """Every time has the unit and the time type of the query."""
        assert {
            (each.schedule.unit, each.schedule.time_type_id)
            for each in _free_times(source).timeslots
        } == {(source.unit, source.time_type_id)}

    def test_times_are_sorted_and_one_of_each(self, source: SourceUnderTest) -> None:
        """Times are sorted by start, and no two have the same token."""
        found = [(each.start, each.token) for each in _free_times(source).timeslots]

        assert found == sorted(set(found))

    def test_an_empty_day_is_empty(self, source: SourceUnderTest) -> None:
        """A day without free times gives an empty answer and no error."""
        free = _free_times(
            source, first_day=source.empty_day, last_day=source.empty_day
        )

        assert free == FreeTimes(timeslots=())

    def test_days_and_times_agree(self, source: SourceUnderTest) -> None:
        """The days with free times are the days of the free times."""
        days = _adapter_with(source, ListsAvailableDates).get_available_dates(
            GetAvailableDates(
                unit=source.unit,
                actor=Actor.agent(source.agent),
                subject_of_care=source.new_resident().number,
                first_day=source.first_day,
                last_day=source.last_day,
                time_type_id=source.time_type_id,
            ),
            timeout=_TIMEOUT_S,
        )

        assert {each.day for each in days.items} == {
            civil_date(each.start) for each in _free_times(source).timeslots
        }

    # Reads that fail

    @pytest.mark.parametrize(
        ("failure", "error"),
        [
            pytest.param(Failure.SILENCE, Unavailable, id="SILENCE"),
            pytest.param(
                Failure.BROKEN_CONNECTION, Unavailable, id="BROKEN_CONNECTION"
            ),
            pytest.param(Failure.FAULT, SourceFault, id="FAULT"),
            pytest.param(
                Failure.UNREADABLE_ANSWER, SourceFault, id="UNREADABLE_ANSWER"
            ),
        ],
    )
    def test_a_failed_question_is_an_error(
        self, source: SourceUnderTest, failure: Failure, error: type[GatewayError]
    ) -> None:
        """A read that fails raises an error, and never gives an empty answer."""
        source.fail(failure)

        with pytest.raises(error) as raised:
            _free_times(source, timeout=_SOON_S)

        assert raised.value.source == source.adapter.name

    def test_a_question_ends_in_time(self, source: SourceUnderTest) -> None:
        """The adapter stops waiting for a silent source at the timeout."""
        source.fail(Failure.SILENCE)
        began = time.monotonic()

        with pytest.raises(Unavailable):
            _free_times(source, timeout=_SOON_S)

        assert time.monotonic() - began < _SOON_S + 1.5

    def test_an_answer_is_not_kept(self, source: SourceUnderTest) -> None:
        """The adapter asks a question again that was answered before."""
        _free_times(source)
        source.fail(Failure.FAULT)

        with pytest.raises(SourceFault):
            _free_times(source)

    # Writes

    def test_a_time_is_booked(self, source: SourceUnderTest) -> None:
        """A booked time has a booking id, and is not free any more."""
        resident = source.new_resident()

        timeslot, booking_id = _book_a_time(source, resident)

        assert timeslot.token not in _tokens(source)
        found = _details(source, booking_id, resident)
        assert (found.booking_id, found.start, found.end) == (
            booking_id,
            timeslot.start,
            timeslot.end,
        )
        assert found.may_be_of(resident.number)

    def test_a_booking_is_listed(self, source: SourceUnderTest) -> None:
        """A resident's list has the booking, with the same content as its details."""
        resident = source.new_resident()
        before = _bookings_of(source, resident)

        _, booking_id = _book_a_time(source, resident)

        assert before == ()
        assert _bookings_of(source, resident) == (
            _details(source, booking_id, resident),
        )

    def test_an_unknown_booking_is_an_error(self, source: SourceUnderTest) -> None:
        """Details of a booking that does not exist raise an error of ours."""
        with pytest.raises(GatewayError):
            _details(source, _UNKNOWN_ID, source.new_resident())

    def test_a_taken_time_is_not_booked(self, source: SourceUnderTest) -> None:
        """The second resident to book a time gets a definite no."""
        timeslot, _ = _book_a_time(source, source.new_resident())
        second = source.new_resident()

        try:
            result = _make(source, timeslot, second)
        except Refused:
            pass
        else:
            assert result.code is ResultCode.ERROR

        assert source.writes_received(second) == 1

    def test_a_booking_is_moved(self, source: SourceUnderTest) -> None:
        """A moved booking frees its old time, and takes its new one."""
        resident = source.new_resident()
        old, booking_id = _book_a_time(source, resident)
        new = _one_free_time(source)

        result = source.adapter.update_booking(
            UpdateBooking(
                booking_id=booking_id, timeslot=new, subject_of_care=resident
            ),
            timeout=_TIMEOUT_S,
        )

        assert result.is_done
        assert (old.token in _tokens(source), new.token in _tokens(source)) == (
            True,
            False,
        )

    def test_a_booking_is_cancelled(self, source: SourceUnderTest) -> None:
        """A cancelled time can be booked again at once."""
        resident = source.new_resident()
        timeslot, booking_id = _book_a_time(source, resident)

        result = source.adapter.cancel_booking(
            CancelBooking(
                unit=source.unit,
                booking_id=booking_id,
                actor=Actor.resident(resident.number),
            ),
            timeout=_TIMEOUT_S,
        )

        assert result.is_done
        assert timeslot.token in _tokens(source)

    @pytest.mark.parametrize("failure", _EVERY_FAILURE)
    def test_a_write_of_unknown_outcome_is_sent_once(
        self, source: SourceUnderTest, failure: Failure
    ) -> None:
        """A write without an answer is unconfirmed, and never repeated."""
        resident = source.new_resident()
        timeslot = _one_free_time(source)
        source.fail(failure)

        with pytest.raises(WriteUnconfirmed):
            _make(source, timeslot, resident, timeout=_SOON_S)

        assert source.writes_received(resident) == 1

    def test_a_write_with_a_lost_answer_is_found(self, source: SourceUnderTest) -> None:
        """A booking that was made without an answer is in the resident's list."""
        resident = source.new_resident()
        timeslot = _one_free_time(source)
        assert _bookings_of(source, resident) == ()
        source.fail(Failure.LOST_ANSWER)

        with pytest.raises(WriteUnconfirmed):
            _make(source, timeslot, resident)

        assert [each.start for each in _bookings_of(source, resident)] == [
            timeslot.start
        ]

    @pytest.mark.parametrize("interaction", _EVERY_WRITE)
    @pytest.mark.parametrize("failure", _EVERY_FAILURE)
    def test_an_error_shows_nothing_personal(
        self, source: SourceUnderTest, failure: Failure, interaction: Interaction
    ) -> None:
        """Neither the error nor its notes contain the resident's number or name."""
        resident = source.new_resident()
        write = _prepare_write(source, interaction, resident)
        source.fail(failure)

        with pytest.raises(WriteUnconfirmed) as raised:
            write()

        error = raised.value
        shown = "\n".join([str(error), *getattr(error, "__notes__", ())])
        assert error.interaction == interaction.name
        assert resident.number.reveal() not in shown
        assert resident.number.reveal()[2:] not in shown
        assert not resident.last_name or resident.last_name not in shown

    def test_it_can_be_closed_twice(self, source: SourceUnderTest) -> None:
        """A second call of `close` is no error."""
        source.adapter.close()
        source.adapter.close()


def _adapter_with(source: SourceUnderTest, kind: type[Ability]) -> Ability:
    """Return the adapter with an ability; skip the test if it lacks the ability."""
    adapter = source.adapter
    if ABILITIES[kind] not in adapter.supports or not isinstance(adapter, kind):
        pytest.skip(f"the source has no {ABILITIES[kind]}")
    return adapter


def _free_times(
    source: SourceUnderTest,
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    timeout: float = _TIMEOUT_S,
) -> FreeTimes:
    return source.adapter.get_available_timeslots(
        GetAvailableTimeslots(
            unit=source.unit,
            actor=Actor.agent(source.agent),
            subject_of_care=source.new_resident().number,
            first_day=first_day or source.first_day,
            last_day=last_day or source.last_day,
            time_type_id=source.time_type_id,
        ),
        timeout=timeout,
    )


def _tokens(source: SourceUnderTest) -> set[object]:
    return {each.token for each in _free_times(source).timeslots}


def _one_free_time(source: SourceUnderTest) -> Timeslot:
    """Return a free time with one place, or the first if no time has just one."""
    free = _free_times(source).timeslots
    return next((each for each in free if each.count == 1), free[0])


def _make(
    source: SourceUnderTest,
    timeslot: Timeslot,
    resident: SubjectOfCare,
    *,
    timeout: float = _TIMEOUT_S,
) -> WriteResult:
    return source.adapter.make_booking(
        MakeBooking(timeslot=timeslot, subject_of_care=resident), timeout=timeout
    )


def _book_a_time(
    source: SourceUnderTest, resident: SubjectOfCare
) -> tuple[Timeslot, BookingId]:
    timeslot = _one_free_time(source)
    result = _make(source, timeslot, resident)
    assert result.is_done
    assert result.booking_id is not None
    return timeslot, result.booking_id


def _details(
    source: SourceUnderTest, booking_id: BookingId, resident: SubjectOfCare
) -> Booking:
    if scheduling.GET_BOOKING_DETAILS not in source.adapter.supports:
        pytest.skip("the source has no details of a booking")
    return source.adapter.get_booking_details(
        GetBookingDetails(
            unit=source.unit,
            actor=Actor.resident(resident.number),
            booking_id=booking_id,
        ),
        timeout=_TIMEOUT_S,
    )


def _bookings_of(
    source: SourceUnderTest, resident: SubjectOfCare
) -> tuple[Booking, ...]:
    answer = _adapter_with(source, ListsBookings).get_subject_of_care_schedule(
        GetSubjectOfCareSchedule(
            address=LogicalAddress(source.unit),
            actor=Actor.resident(resident.number),
            subject_of_care=resident.number,
        ),
        timeout=_TIMEOUT_S,
    )
    return tuple(answer.bookings)


def _prepare_write(
    source: SourceUnderTest, interaction: Interaction, resident: SubjectOfCare
) -> Callable[[], WriteResult]:
    """Return a function that sends a write."""
    adapter = source.adapter
    timeslot = _one_free_time(source)
    match interaction:
        case scheduling.MAKE_BOOKING:
            return lambda: _make(source, timeslot, resident, timeout=_SOON_S)
        case scheduling.UPDATE_BOOKING:
            update = UpdateBooking(
                booking_id=_UNKNOWN_ID, timeslot=timeslot, subject_of_care=resident
            )
            return lambda: adapter.update_booking(update, timeout=_SOON_S)
        case _:
            cancel = CancelBooking(
                unit=source.unit,
                booking_id=_UNKNOWN_ID,
                actor=Actor.resident(resident.number),
            )
            return lambda: adapter.cancel_booking(cancel, timeout=_SOON_S)
