"""
The sandbox's aggregating service, with the manners of the national one.
"""

import time

import pytest

from fhir_gateway.model.errors import SourceFault, Unavailable
from fhir_gateway.rivta.processing_status import ProcessingStatusRecord, SynchError

from .consumer import TOLVAN
from .national import CONSUMER, PlatformConsumer

NOBODYS = "197010632391"
PRESENT = "20260302060000"


def units(national: PlatformConsumer) -> set[str]:
    """Return the units where Tolvan has something."""
    return {
        row["unit"]
        for region in (national.norr, national.mitt, national.syd)
        for row in region.ledger()["bookings"]
        if row["subject_of_care"] == TOLVAN
    }


def unit_of(national: PlatformConsumer, name: str) -> str:
    """Return the unit of a region where Tolvan has a booking."""
    region = getattr(national, name)
    rows = region.ledger()["bookings"]
    return str(next(row["unit"] for row in rows if not row["is_invitation"]))


def success(unit: str) -> ProcessingStatusRecord:
    """Return the record of a unit that answered."""
    return ProcessingStatusRecord(
        logical_address=unit,
        status_code="DataFromSource",
        is_response_from_cache=False,
        is_response_in_synch=True,
        last_successful_synch=PRESENT,
    )


def failure(unit: str, code: str, text: str) -> ProcessingStatusRecord:
    """Return the record of a unit that failed: without the last success, as skltp's."""
    return ProcessingStatusRecord(
        logical_address=unit,
        status_code="NoDataSynchFailed",
        is_response_from_cache=False,
        is_response_in_synch=False,
        last_unsuccessful_synch=PRESENT,
        last_unsuccessful_synch_error=SynchError(
            causing_agent="virtualization_platform", code=code, text=text
        ),
    )


def test_all_regions_are_in_one_answer(national: PlatformConsumer) -> None:
    """Each unit with a post is asked, and each has a record."""
    answer = national.schedule()

    assert national.statuses(answer) == {
        unit: success(unit) for unit in units(national)
    }
    times = answer.response.timeslot_detail
    assert {each.healthcare_facility[:12] for each in times} == {
        "SE2321009901",
        "SE2321009902",
        "SE2321009903",
    }
    expected = [
        item
        for region in (national.norr, national.mitt, national.syd)
        for unit in {each.healthcare_facility for each in times}
        if region.region.unit(unit) is not None
        for item in region.schedule(address=unit)
    ]
    assert sorted(times, key=repr_of) == sorted(expected, key=repr_of)


def repr_of(item: object) -> str:
    """Return what sorts two times."""
    return str(sorted(vars(item).items(), key=str))


def test_each_unit_is_asked_through_the_platform(national: PlatformConsumer) -> None:
    """The consumer of each call is the one who asked the service."""
    before = len(national.calls())
    national.schedule()

    calls = national.calls()[before:]

    assert {each["logical_address"] for each in calls} == {
        "5565594230",
        *units(national),
    }
    assert {each["consumer"] for each in calls} == {CONSUMER}


def test_a_resident_without_posts_has_an_empty_report(
    national: PlatformConsumer,
) -> None:
    """The header is there, without a record."""
    answer = national.schedule(NOBODYS)

    assert (answer.response.timeslot_detail, answer.processing_status) == ((), ())


def test_a_unit_that_hangs_times_out_alone(national: PlatformConsumer) -> None:
    """The others are in the answer, which goes out at the limit for one unit."""
    unit = unit_of(national, "mitt")
    national.behave(producer_timeout_s=0.3, total_timeout_s=5)
    national.fault("mitt", "hang", seconds=60, units=[unit])

    began = time.monotonic()
    answer = national.schedule()

    assert 0.3 <= time.monotonic() - began < 3
    assert national.statuses(answer) == {
        each: failure(each, "504", "Read timed out") if each == unit else success(each)
        for each in units(national)
    }


def test_the_total_limit_cuts_off_what_is_left(national: PlatformConsumer) -> None:
    """Such a unit's error is unknown."""
    unit = unit_of(national, "mitt")
    national.behave(producer_timeout_s=2, total_timeout_s=0.6)
    national.fault("mitt", "hang", seconds=60, units=[unit])

    answer = national.schedule()

    assert national.statuses(answer)[unit] == failure(unit, "43000", "Unknown error")


def test_a_fault_of_a_unit_is_quoted(national: PlatformConsumer) -> None:
    """The record has the HTTP status and the text of the platform's fault."""
    unit = unit_of(national, "syd")
    national.fault("platform", "vp-fault", code="VP009", units=[unit])

    record = national.statuses(national.schedule())[unit]

    assert record == failure(
        unit, "500", "VP009 [sandbox] Fel vid kontakt med tjänsteproducenten"
    )


def test_all_failing_is_an_empty_list_with_status_200(
    national: PlatformConsumer,
) -> None:
    """Nothing but the header shows that nobody answered."""
    for region in ("norr", "mitt", "syd"):
        national.fault(region, "vp-fault", code="VP012")

    answer = national.schedule()

    assert answer.response.timeslot_detail == ()
    assert {record.status_code for record in national.statuses(answer).values()} == {
        "NoDataSynchFailed"
    }
    assert national.statuses(answer).keys() == units(national)
    assert national.post(national.document()).status_code == 200


def test_a_unit_that_the_consumer_may_not_ask_is_dropped_silently(
    national: PlatformConsumer,
) -> None:
    """It has no record: nobody can see that it is missing."""
    unit = unit_of(national, "norr")
    national.behave(unauthorised=[unit])

    answer = national.schedule()

    assert national.statuses(answer).keys() == units(national) - {unit}
    assert unit not in {
        each.healthcare_facility for each in answer.response.timeslot_detail
    }


def test_a_unit_without_the_contract_is_dropped_silently(
    national: PlatformConsumer,
) -> None:
    """The service asks only where there is a route."""
    unit = unit_of(national, "norr")
    national.behave(lacks={unit: ["GetSubjectOfCareSchedule"]})

    assert unit not in national.statuses(national.schedule())


def test_a_unit_without_a_post_is_never_asked(national: PlatformConsumer) -> None:
    """What the index misses, the service misses, without a record."""
    unit = unit_of(national, "norr")
    national.behave(not_indexed=[unit])

    assert unit not in national.statuses(national.schedule())


def test_an_index_that_fails_is_a_fault(national: PlatformConsumer) -> None:
    """Only then is the whole answer a fault."""
    national.behave(index_fails=True)

    with pytest.raises(SourceFault) as raised:
        national.schedule()

    assert raised.value.code is None


def test_a_young_answer_is_given_again(national: PlatformConsumer) -> None:
    """Its record says when it was the source's own."""
    first = national.schedule()
    national.behave(cached_for_s=60)
    national.fault("norr", "vp-fault")

    again = national.schedule()

    assert again.response == first.response
    assert {
        (each.status_code, each.is_response_from_cache, each.is_response_in_synch)
        for each in national.statuses(again).values()
    } == {("DataFromCache", True, True)}


def test_the_last_answer_of_a_unit_that_fails_is_given(
    national: PlatformConsumer,
) -> None:
    """The record has both times, and the error."""
    unit = unit_of(national, "syd")
    first = national.schedule()
    national.behave(keeps_last=True)
    national.fault("syd", "vp-fault", code="VP009", units=[unit])

    again = national.schedule()

    record = national.statuses(again)[unit]
    assert again.response == first.response
    assert record == ProcessingStatusRecord(
        logical_address=unit,
        status_code="DataFromCacheSynchFailed",
        is_response_from_cache=True,
        is_response_in_synch=False,
        last_successful_synch=PRESENT,
        last_unsuccessful_synch=PRESENT,
        last_unsuccessful_synch_error=record.last_unsuccessful_synch_error,
    )


def test_the_service_itself_fails_on_request(national: PlatformConsumer) -> None:
    """A reset behind the platform becomes VP009."""
    national.fault("aggregator", "refuse", count=1)

    with pytest.raises(SourceFault) as raised:
        national.schedule()

    assert raised.value.code == "VP009"


def test_the_service_answers_only_the_platform(national: PlatformConsumer) -> None:
    """Without the platform's headers it answers with a fault."""
    answer = national.post(national.document(), to="aggregator")

    assert (answer.status_code, "x-vp-sender-id saknas" in answer.text) == (500, True)


def test_a_platform_that_hangs_gives_no_answer(national: PlatformConsumer) -> None:
    """A consumer waits as long as it wants."""
    national.fault("platform", "hang", seconds=0.1, count=1)

    with pytest.raises(Unavailable):
        national.schedule()
