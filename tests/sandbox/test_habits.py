"""
How mitt and syd differ from the contract, and how norr holds consumers to it.
"""

from typing import Any

import pytest
from lxml import etree

from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import GatewayError, SourceFault
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.client import FaultedWrite
from fhir_gateway.rivta.scheduling_1_1 import (
    get_all_time_types,
    get_available_timeslots,
    get_booking_details,
    get_subject_of_care_schedule,
    update_booking,
)
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType
from fhir_gateway.rivta.xml import parse

from .consumer import LOCKED_TYPE, TOLVAN, Consumer, people

CORE = "urn:riv:crm:scheduling:1"
TIMESLOTS = scheduling.GET_AVAILABLE_TIMESLOTS


def _timeslots_request(consumer: Consumer, **narrowed: Any) -> Any:
    return get_available_timeslots.Request(
        **{
            "healthcare_facility": consumer.unit.hsa_id,
            "start_date_inclusive": "20260302",
            "end_date_inclusive": "20260430",
            "subject_of_care": TOLVAN,
        }
        | narrowed
    )


def _first_listed(consumer: Consumer, **narrowed: Any) -> etree._Element:
    """Return the first free time as it stands on the wire."""
    request = _timeslots_request(consumer, **narrowed)
    answer = consumer.post(TIMESLOTS, consumer.document(TIMESLOTS, request))
    return next(iter(parse(answer.content).iter("{*}timeslotDetail")))


def _empty(slot: etree._Element) -> set[str]:
    return {
        str(child.tag).rpartition("}")[2] for child in slot if not (child.text or "")
    }


def _times(document: bytes) -> list[str]:
    root = parse(document)
    return [
        child.text or ""
        for name in ("startTimeInclusive", "endTimeExclusive")
        for child in root.iter(f"{{{CORE}}}{name}")
    ]


def _fault_text(document: bytes) -> str:
    return next(iter(parse(document).iter("faultstring"))).text or ""


# Mitt, as the TakeCare adapter


def test_mitt_writes_empty_elements(mitt: Consumer) -> None:
    """A free time in mitt has empty elements for all that it lacks."""
    assert _empty(_first_listed(mitt)) == {
        "performer",
        "bookingId",
        "subject_of_care",
        "purpose",
        "reason",
        "performerName",
        "careTypeName",
        "careTypeID",
    }


def test_mitt_keeps_the_schemas_order(mitt: Consumer) -> None:
    """The empty elements stand where the schema has them."""
    names = [str(child.tag).rpartition("}")[2] for child in _first_listed(mitt)]

    assert names[:4] == [
        "startTimeInclusive",
        "endTimeExclusive",
        "healthcare_facility",
        "performer",
    ]
    assert names[-3:] == [
        "cancel_booking_allowed",
        "rebooking_allowed",
        "message_allowed",
    ]


def test_mitt_lists_rooms_with_flags(mitt: Consumer) -> None:
    """A free time in mitt has a numbered room and flags that say nothing."""
    slot = mitt.slots()[0]

    assert slot.resource_name
    assert (slot.resource_id or "").isdecimal()
    assert (slot.time_type_id or "").isdecimal()
    assert (
        slot.cancel_booking_allowed,
        slot.rebooking_allowed,
        slot.message_allowed,
    ) == (False, False, True)


def test_mitt_lists_free_times_with_fourteen_digits(mitt: Consumer) -> None:
    """Free times in mitt are written in full."""
    request = _timeslots_request(mitt)
    answer = mitt.post(TIMESLOTS, mitt.document(TIMESLOTS, request))

    assert {len(text) for text in _times(answer.content)} == {14}


@pytest.mark.parametrize(
    "interaction",
    [scheduling.GET_BOOKING_DETAILS, scheduling.GET_SUBJECT_OF_CARE_SCHEDULE],
    ids=lambda interaction: interaction.name,
)
def test_mitt_shows_bookings_with_twelve_digits(
    mitt: Consumer, interaction: Interaction
) -> None:
    """Bookings in mitt have times of twelve digits."""
    booking_id = mitt.booked()
    requests: dict[Interaction, object] = {
        scheduling.GET_BOOKING_DETAILS: get_booking_details.Request(
            healthcare_facility=mitt.unit.hsa_id, booking_id=booking_id
        ),
        scheduling.GET_SUBJECT_OF_CARE_SCHEDULE: get_subject_of_care_schedule.Request(
            healthcare_facility=mitt.unit.hsa_id, subject_of_care=TOLVAN
        ),
    }
    answer = mitt.post(interaction, mitt.document(interaction, requests[interaction]))

    assert {len(text) for text in _times(answer.content)} == {12}


def test_mitt_shows_a_room_as_performer(mitt: Consumer) -> None:
    """A booking in mitt has a resource type as performer and never two of its flags."""
    shown = mitt.details(mitt.booked())

    assert shown.performer in {"1", "2"}
    assert shown.performer_name in {
        calendar.resource.name for calendar in mitt.unit.calendars if calendar.resource
    }
    assert (shown.message_allowed, shown.is_invitation) == (None, None)


def test_mitt_names_the_unit_as_resource_of_a_day(mitt: Consumer) -> None:
    """GetAvailableDates in mitt has the unit's name in resourceName."""
    assert {each.resource_name for each in mitt.dates()} == {mitt.unit.care_unit.name}


def test_mitt_answers_ok_with_an_empty_text(mitt: Consumer) -> None:
    """MakeBooking in mitt has an empty resultText."""
    document = mitt.document(
        scheduling.MAKE_BOOKING, mitt.make_request(mitt.slots()[0])
    )
    root = parse(mitt.post(scheduling.MAKE_BOOKING, document).content)

    assert [element.text for element in root.iter("{*}resultCode")] == ["OK"]
    assert [element.text for element in root.iter("{*}resultText")] == [None]


def test_mitt_cannot_keep_a_telephone_number(mitt: Consumer) -> None:
    """MakeBooking with a telephone number is INFO in mitt."""
    result = mitt.make(mitt.slots()[0], phone="070-174 06 05")

    assert (result.result_code, result.result_text) == (
        "INFO",
        "Tyvärr kunde inte telefonnumret sparas med bokningen",
    )


def test_mitt_says_cancelled(mitt: Consumer) -> None:
    """CancelBooking in mitt is OK with the text CANCELLED."""
    result = mitt.cancel(mitt.booked())

    assert (result.result_code, result.result_text) == ("OK", "CANCELLED")


def test_mitt_gives_a_moved_booking_a_new_id(mitt: Consumer) -> None:
    """UpdateBooking in mitt changes the id, which only the schedule shows."""
    old, new = mitt.slots_of("covid")[:2]
    booking_id = mitt.make(old).booking_id or ""
    mitt.update(booking_id, new)
    shown = mitt.schedule()

    assert len(shown) == 1
    assert shown[0].booking_id not in (None, booking_id)
    with pytest.raises(GatewayError):
        mitt.details(booking_id)


def test_mitt_faults_on_a_taken_time(mitt: Consumer) -> None:
    """A taken time in mitt is a SOAP fault with a code of TakeCare's kind."""
    slot = mitt.slots()[0]
    mitt.make(slot)
    with pytest.raises(FaultedWrite) as raised:
        mitt.make(slot, people(1)[0])

    assert raised.value.fault.text == (
        "resultCode: 3010 resultText: Time already booked!"
    )


def test_mitt_faults_on_a_missing_room(mitt: Consumer) -> None:
    """MakeBooking without resourceID is an illegal argument in mitt."""
    with pytest.raises(FaultedWrite) as raised:
        mitt.make(mitt.slots()[0], resource_id=None)

    assert raised.value.fault.text == "resultCode: 3001 resultText: Illegal argument!"


def test_mitt_faults_on_a_locked_booking(mitt: Consumer) -> None:
    """CancelBooking of a booking that may not be cancelled is a fault in mitt."""
    booking_id = mitt.booked(LOCKED_TYPE)
    with pytest.raises(FaultedWrite):
        mitt.cancel(booking_id)

    assert [row["booking_id"] for row in mitt.bookings()] == [booking_id]


def test_mitt_cuts_a_reason(mitt: Consumer) -> None:
    """A reason is cut at 300 characters in mitt."""
    shown = mitt.details(mitt.booked(reason="å" * 301))

    assert shown.reason == "å" * 300


def test_mitt_ignores_the_time_type_with_a_booking(mitt: Consumer) -> None:
    """With a booking id mitt lists all that its room does, for any question."""
    booking_id = mitt.booked()
    covid = mitt.time_type("covid").id
    listed = mitt.slots(booking_id=booking_id, time_type_id=covid)

    assert len({slot.time_type_id for slot in listed}) > 1
    assert len({slot.resource_id for slot in listed}) == 1


def test_mitt_reads_any_order(mitt: Consumer) -> None:
    """A message with its elements out of order is read in mitt."""
    request = _timeslots_request(mitt)
    answer = mitt.post(TIMESLOTS, _reversed(mitt.document(TIMESLOTS, request)))

    assert answer.status_code == 200


# Syd, as Schedulr


def test_syd_repeats_the_request_in_free_times(syd: Consumer) -> None:
    """A free time in syd has the request's booking id and resident."""
    booking_id = syd.booked()
    slot = syd.slots(booking_id=booking_id)[0]

    assert (slot.booking_id, slot.subject_of_care) == (booking_id, TOLVAN)


def test_syd_turns_a_performers_name_around(syd: Consumer) -> None:
    """The performer's title is first in a free time and last in a booking."""
    slot = syd.slots_of("covid")[0]
    performer = next(
        each for each in syd.unit.performers if each.hsa_id == slot.performer
    )
    shown = syd.details(syd.make(slot).booking_id or "")
    name = f"{performer.first_name} {performer.last_name}"

    assert slot.performer_name == f"{performer.title} {name}"
    assert shown.performer_name == f"{name}, {performer.title}"


def test_syd_answers_an_unknown_booking_with_nothing(syd: Consumer) -> None:
    """GetBookingDetails of an unknown booking lacks its timeslotDetail in syd."""
    answer = syd.details_answer("unknown")

    assert answer.response.timeslot_detail is None


def test_syd_faults_on_another_units_address(syd: Consumer) -> None:
    """A logical address that differs from the unit is a fault in syd."""
    request = _timeslots_request(syd)
    other = syd.region.units[1].hsa_id
    answer = syd.post(TIMESLOTS, syd.document(TIMESLOTS, request, address=other))

    assert answer.status_code == 500
    assert _fault_text(answer.content) == (
        "LogicalAddress does not match healthcare_facility"
    )


def test_syd_has_nothing_at_an_unknown_unit(syd: Consumer) -> None:
    """A question about a unit that syd does not know is answered with nothing."""
    unknown = f"{syd.region.hsa_prefix}9999"
    request = _timeslots_request(syd, healthcare_facility=unknown)
    answer = syd.call(get_available_timeslots.CONTRACT, request, address=unknown)

    assert answer.response.timeslot_detail == ()


def _at_unknown_unit(slot: TimeslotType, prefix: str) -> dict[str, str]:
    return {"healthcare_facility": f"{prefix}9999", "performer": slot.performer or ""}


def test_syd_does_not_know_a_unit_to_book_at(syd: Consumer) -> None:
    """MakeBooking at an unknown unit is an ERROR in English."""
    slot = syd.slots()[0]
    request = syd.make_request(slot, **_at_unknown_unit(slot, syd.region.hsa_prefix))
    result = syd.send_make(request)

    assert (result.result_code, result.result_text) == (
        "ERROR",
        "Healthcare facility not found",
    )


def test_syd_does_not_know_a_performer(syd: Consumer) -> None:
    """MakeBooking with an unknown performer is an ERROR in English."""
    result = syd.make(syd.slots()[0], performer="SE2321009903-P0")

    assert (result.result_code, result.result_text) == ("ERROR", "Performer not found")


def test_syd_says_in_english_that_a_time_is_taken(syd: Consumer) -> None:
    """A taken time in syd is an ERROR in English."""
    slot = syd.slots()[0]
    syd.make(slot)
    result = syd.make(slot, people(1)[0])

    assert (result.result_code, result.result_text) == (
        "ERROR",
        "Timeslot is not available",
    )


def test_syd_does_not_know_an_invitation(syd: Consumer) -> None:
    """MakeBooking with an unknown booking id is an ERROR in syd."""
    result = syd.make(syd.slots()[0], booking_id="unknown")

    assert (result.result_code, result.result_text) == ("ERROR", "Booking not found")


def test_syd_does_not_know_a_booking_to_cancel(syd: Consumer) -> None:
    """CancelBooking of an unknown booking is an ERROR in English."""
    result = syd.cancel("unknown")

    assert (result.result_code, result.result_text) == ("ERROR", "Booking not found")


def test_syd_crashes_without_the_residents_name(syd: Consumer) -> None:
    """UpdateBooking without subject_of_care_info is a fault in syd."""
    old, new = syd.slots_of("covid")[:2]
    booking_id = syd.make(old).booking_id or ""
    with pytest.raises(FaultedWrite):
        syd.update(booking_id, new, with_info=False)

    assert syd.details(booking_id).start_time_inclusive == old.start_time_inclusive


# What is refused before any booking system sees it


def _time_types(consumer: Consumer) -> bytes:
    return consumer.document(
        scheduling.GET_ALL_TIME_TYPES,
        get_all_time_types.Request(
            healthcare_facility=consumer.unit.hsa_id, subject_of_care=TOLVAN
        ),
    )


def _reversed(document: bytes) -> bytes:
    root = parse(document)
    body = root[-1][0]
    body[:] = reversed(body)
    return etree.tostring(root)


def _without(document: bytes, name: str) -> bytes:
    root = parse(document)
    for element in list(root.iter(f"{{*}}{name}")):
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)
    return etree.tostring(root)


def _phone_last(document: bytes) -> bytes:
    root = parse(document)
    phone = next(iter(root.iter("{*}phone")))
    parent = phone.getparent()
    assert parent is not None
    parent.append(phone)
    return etree.tostring(root)


def _with_empty_element(document: bytes) -> bytes:
    root = parse(document)
    body = root[-1][0]
    namespace = "urn:riv:crm:scheduling:GetAllTimeTypesResponder:1.1"
    body.insert(1, etree.Element(f"{{{namespace}}}careTypeIDs"))
    return etree.tostring(root)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        pytest.param(lambda _: b"<not", "VP015", id="not XML"),
        pytest.param(lambda _: b"<a/>", "VP015", id="no envelope"),
        pytest.param(
            lambda whole: _without(whole, "LogicalAddress"),
            "VP003",
            id="no logical address",
        ),
        pytest.param(
            lambda whole: whole.replace(b"GetAllTimeTypes", b"GetAllOtherTypes"),
            "VP004",
            id="an unknown contract",
        ),
    ],
)
def test_the_platform_refuses(consumer: Consumer, document: Any, text: str) -> None:
    """What the platform cannot route is a fault with its code."""
    whole = document(_time_types(consumer))
    answer = consumer.post(scheduling.GET_ALL_TIME_TYPES, whole)

    assert answer.status_code == 500
    assert _fault_text(answer.content).startswith(f"{text} [sandbox] ")


@pytest.mark.parametrize(
    ("spoilt", "element"),
    [
        pytest.param(_reversed, "subject_of_care", id="elements out of order"),
        pytest.param(_with_empty_element, "careTypeIDs", id="an empty element"),
        pytest.param(lambda whole: _without(whole, "Actor"), "Actor", id="no actor"),
        pytest.param(
            lambda whole: _without(whole, "healthcare_facility"),
            "healthcare_facility",
            id="a missing element",
        ),
        pytest.param(
            lambda whole: whole.replace(TOLVAN.encode(), b"1212121212"),
            "subject_of_care",
            id="a short personal number",
        ),
        pytest.param(
            lambda whole: whole.replace(b"Responder:1.1", b"Responder:1.2"),
            "subject_of_care",
            id="a wrong namespace",
        ),
    ],
)
def test_norr_holds_a_message_to_the_schema(
    norr: Consumer, spoilt: Any, element: str
) -> None:
    """What the schema does not allow is a fault in norr that names the element."""
    answer = norr.post(scheduling.GET_ALL_TIME_TYPES, spoilt(_time_types(norr)))

    assert answer.status_code == 500
    assert _fault_text(answer.content).endswith(f": {element}")


def test_norr_holds_the_soap_action_to_the_contract(norr: Consumer) -> None:
    """A SOAPAction of another contract is a fault in norr."""
    answer = norr.post(scheduling.GET_ALL_PERFORMERS, _time_types(norr))

    assert _fault_text(answer.content).endswith(": SOAPAction")


@pytest.mark.parametrize(
    ("changed", "element"),
    [
        pytest.param(
            {"cancel_booking_allowed": True}, "cancel_booking_allowed", id="a flag"
        ),
        pytest.param(
            {"start_time_inclusive": None}, "startTimeInclusive", id="no time"
        ),
        pytest.param({"subject_of_care": None}, "subject_of_care", id="no resident"),
    ],
)
def test_norr_holds_a_wanted_time_to_the_rules(
    norr: Consumer, changed: dict[str, Any], element: str
) -> None:
    """What only a producer may set, or must be there, is a fault in norr."""
    interaction = scheduling.MAKE_BOOKING
    request = norr.make_request(norr.slots()[0], **changed)
    answer = norr.post(interaction, norr.document(interaction, request))

    assert _fault_text(answer.content).endswith(f": {element}")
    assert norr.bookings() == []


def test_norr_needs_the_booking_to_move(norr: Consumer) -> None:
    """UpdateBooking without bookingId is a fault in norr."""
    interaction = scheduling.UPDATE_BOOKING
    request = update_booking.Request(
        requested_timeslot=norr.make_request(norr.slots()[0]).requested_timeslot
    )
    answer = norr.post(interaction, norr.document(interaction, request))

    assert _fault_text(answer.content).endswith(": bookingId")


def test_norr_faults_on_another_units_address(norr: Consumer) -> None:
    """A logical address that differs from the unit is a fault in norr."""
    request = _timeslots_request(norr)
    other = norr.region.units[1].hsa_id
    answer = norr.post(TIMESLOTS, norr.document(TIMESLOTS, request, address=other))

    assert "LogicalAddress" in _fault_text(answer.content)


def test_norr_does_not_know_a_booking(norr: Consumer) -> None:
    """GetBookingDetails of an unknown booking is a fault of norr's own."""
    with pytest.raises(SourceFault) as raised:
        norr.details("unknown")

    assert raised.value.code is None


def test_a_wrong_check_digit_is_nobody(norr: Consumer) -> None:
    """MakeBooking for a number with a wrong check digit is an ERROR."""
    result = norr.make(norr.slots()[0], "191212121213")

    assert (result.result_code, result.result_text) == (
        "ERROR",
        "Personen finns inte i journalsystemet.",
    )


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        pytest.param("start_time_inclusive", "startTimeInclusive", id="no start"),
        pytest.param("subject_of_care", "subject_of_care", id="no resident"),
    ],
)
def test_syd_faults_on_a_missing_argument(
    syd: Consumer, argument: str, name: str
) -> None:
    """MakeBooking without something it needs is a fault in syd that names it."""
    interaction = scheduling.MAKE_BOOKING
    changed: dict[str, Any] = {argument: None}
    request = syd.make_request(syd.slots()[0], **changed)
    answer = syd.post(interaction, syd.document(interaction, request))

    assert _fault_text(answer.content) == f"Missing or invalid argument: {name}"


def test_syd_needs_the_booking_to_move(syd: Consumer) -> None:
    """UpdateBooking without bookingId is a fault in syd."""
    interaction = scheduling.UPDATE_BOOKING
    request = syd.make_request(syd.slots()[0])
    update = update_booking.Request(
        requested_timeslot=request.requested_timeslot,
        subject_of_care_info=request.subject_of_care_info,
    )
    answer = syd.post(interaction, syd.document(interaction, update))

    assert _fault_text(answer.content).endswith(": bookingId")


@pytest.mark.parametrize("name", ["mitt", "syd"])
def test_a_missing_element_is_a_fault_elsewhere_too(
    name: str, request: pytest.FixtureRequest
) -> None:
    """A message without its unit is a fault in the lenient regions."""
    consumer: Consumer = request.getfixturevalue(name)
    whole = _without(_time_types(consumer), "healthcare_facility")
    answer = consumer.post(scheduling.GET_ALL_TIME_TYPES, whole)

    assert answer.status_code == 500


def test_mitt_cannot_list_for_an_unknown_booking(mitt: Consumer) -> None:
    """GetAvailableTimeslots with an unknown booking is an illegal argument in mitt."""
    with pytest.raises(SourceFault):
        mitt.slots(booking_id="unknown")


def test_mitt_does_not_care_about_performers(mitt: Consumer) -> None:
    """A performer to narrow by is never passed on in mitt."""
    assert mitt.slots(performer=("SE2321009902-P1",)) == mitt.slots()


@pytest.mark.parametrize(
    ("spoilt", "element"),
    [
        pytest.param(
            lambda whole: whole.replace(b"00</core:start", b"</core:start"),
            "startTimeInclusive",
            id="a time of twelve digits",
        ),
        pytest.param(_phone_last, "firstName", id="a telephone number after the names"),
    ],
)
def test_norr_looks_into_a_booking(norr: Consumer, spoilt: Any, element: str) -> None:
    """What the schema does not allow deeper down is a fault in norr too."""
    interaction = scheduling.MAKE_BOOKING
    request = norr.make_request(norr.slots()[0], phone="070-174 06 05")
    answer = norr.post(interaction, spoilt(norr.document(interaction, request)))

    assert _fault_text(answer.content).endswith(f": {element}")
    assert [row["result"] for row in norr.writes()] == ["FAULT"]
