"""
The conformance suite fails an adapter that breaks a promise.
"""

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from builders import NOW

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11
from fhir_gateway.adapters.scheduling_1_1.options import options_from_mapping
from fhir_gateway.model.booking import BookedTimes, WriteResult
from fhir_gateway.model.errors import GatewayError, WriteUnconfirmed
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.scheduling import (
    GetAvailableTimeslots,
    GetSubjectOfCareSchedule,
    MakeBooking,
)
from fhir_gateway.model.timeslot import FreeTimes
from fhir_gateway.testing import AdapterConformance, Failure, FakeRegion, FakeRegions


class Concealing(Scheduling11):
    """It answers with nothing where it could not ask."""

    def get_available_timeslots(
        self, query: GetAvailableTimeslots, *, timeout: float
    ) -> FreeTimes:
        """Return nothing for a failure."""
        with suppress(GatewayError):
            return super().get_available_timeslots(query, timeout=timeout)
        return FreeTimes(timeslots=())


class Keeping(Scheduling11):
    """It keeps its first answer."""

    kept: FreeTimes | None = None

    def get_available_timeslots(
        self, query: GetAvailableTimeslots, *, timeout: float
    ) -> FreeTimes:
        """Return the first answer to everything."""
        if self.kept is None:
            self.kept = super().get_available_timeslots(query, timeout=timeout)
        return self.kept


class Slow(Scheduling11):
    """It gives its source more time than it has."""

    def get_available_timeslots(
        self, query: GetAvailableTimeslots, *, timeout: float
    ) -> FreeTimes:
        """Wait two seconds longer."""
        return super().get_available_timeslots(query, timeout=timeout + 2)


class Repeating(Scheduling11):
    """It sends a write again that nobody has answered."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Try twice."""
        with suppress(WriteUnconfirmed):
            return super().make_booking(request, timeout=timeout)
        return super().make_booking(request, timeout=timeout)


class Chatty(Scheduling11):
    """It puts the resident's name into its errors."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Say for whom it was."""
        try:
            return super().make_booking(request, timeout=timeout)
        except WriteUnconfirmed as error:
            error.add_note(f"for {request.subject_of_care.last_name}")
            raise


class Forgetful(Scheduling11):
    """It lists nothing for a resident."""

    def get_subject_of_care_schedule(
        self,
        query: GetSubjectOfCareSchedule,  # noqa: ARG002 - it does not ask
        *,
        timeout: float,  # noqa: ARG002 - as above
    ) -> BookedTimes:
        """Return nothing."""
        return BookedTimes(bookings=())


@pytest.fixture(name="regions", scope="module")
def _regions() -> Iterator[FakeRegions]:
    with FakeRegions(now=NOW) as regions:
        yield regions


def region_with(regions: FakeRegions, adapter: type[Scheduling11]) -> FakeRegion:
    """Return a region that an adapter of that class asks."""
    return regions.region(
        "norr",
        lambda endpoint: adapter(
            SourceName("norr"), options_from_mapping({"endpoint": endpoint})
        ),
    )


def test_an_adapter_that_conceals_a_failure_fails(regions: FakeRegions) -> None:
    """No times for a source that could not be asked is found out."""
    source = region_with(regions, Concealing)

    with pytest.raises(pytest.fail.Exception):
        AdapterConformance().test_a_failed_question_is_an_error(
            source, Failure.FAULT, GatewayError
        )


def test_an_adapter_that_keeps_answers_fails(regions: FakeRegions) -> None:
    """An answer from memory is found out."""
    source = region_with(regions, Keeping)

    with pytest.raises(pytest.fail.Exception):
        AdapterConformance().test_an_answer_is_not_kept(source)

    source.clear_faults()


def test_an_adapter_that_waits_too_long_fails(regions: FakeRegions) -> None:
    """A question that takes longer than its time is found out."""
    source = region_with(regions, Slow)
    began = time.monotonic()

    with pytest.raises(AssertionError):
        AdapterConformance().test_a_question_ends_in_time(source)

    assert time.monotonic() - began > 2


@pytest.mark.parametrize("failure", [Failure.FAULT, Failure.LOST_ANSWER])
def test_an_adapter_that_repeats_a_write_fails(
    regions: FakeRegions, failure: Failure
) -> None:
    """A write that is sent twice is found out."""
    source = region_with(regions, Repeating)

    with pytest.raises((pytest.fail.Exception, AssertionError)):
        AdapterConformance().test_a_write_of_unknown_outcome_is_sent_once(
            source, failure
        )


def test_an_adapter_that_names_the_resident_fails(regions: FakeRegions) -> None:
    """A name in the notes of an error is found out."""
    source = region_with(regions, Chatty)
    suite = AdapterConformance()
    interaction = next(
        each for each in source.adapter.supports if each.name == "MakeBooking"
    )

    with pytest.raises(AssertionError):
        suite.test_an_error_shows_nothing_personal(source, Failure.FAULT, interaction)


def test_an_adapter_that_does_not_list_a_booking_fails(regions: FakeRegions) -> None:
    """A list without what was booked is found out."""
    source = region_with(regions, Forgetful)

    with pytest.raises(AssertionError):
        AdapterConformance().test_a_booking_is_listed(source)
