"""
What a region writes for people, from its answer to the program's own model.
"""

import pytest
from builders import TOLVAN, UNIT, subject, timeslot

from fhir_gateway.model.booking import ResultCode, WriteResult
from fhir_gateway.model.errors import WriteUnconfirmed
from fhir_gateway.model.ids import BookingId, LogicalAddress
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetSubjectOfCareSchedule,
    MakeBooking,
)

from .conftest import Answers

LIST = GetSubjectOfCareSchedule(
    address=LogicalAddress(UNIT), actor=Actor.resident(TOLVAN), subject_of_care=TOLVAN
)


def _booking(inner: str) -> str:
    return (
        "<timeslotDetail><c:startTimeInclusive>20270503080000</c:startTimeInclusive>"
        "<c:endTimeExclusive>20270503083000</c:endTimeExclusive>"
        f"<c:healthcare_facility>{UNIT}</c:healthcare_facility>"
        f"<c:bookingId>b1</c:bookingId>{inner}</timeslotDetail>"
    )


@pytest.mark.parametrize(
    ("purpose", "text"),
    [
        pytest.param(
            "<article><para>Fasta före besöket.</para></article>",
            "Fasta före besöket.",
            id="DocBook that is not escaped",
        ),
        pytest.param(
            '&lt;article xmlns="http://docbook.org/ns/docbook"'
            ' xmlns:xlink="http://www.w3.org/1999/xlink"&gt;&lt;para&gt;Anslut'
            ' &lt;link xlink:href="https://video.example/1"&gt;här&lt;/link&gt;'
            "&lt;/para&gt;&lt;/article&gt;",
            "Anslut här (https://video.example/1)",
            id="a link of DocBook 5",
        ),
        pytest.param(
            "&lt;article&gt;&lt;para&gt;Kom&amp;nbsp;fastande&lt;/para&gt;"
            "&lt;/article&gt;",
            "Kom fastande",
            id="a named entity",
        ),
        pytest.param(
            "&lt;!DOCTYPE article&gt;&lt;article&gt;&lt;para&gt;Kom fastande"
            "&lt;/para&gt;&lt;/article&gt;",
            "Kom fastande",
            id="a document type",
        ),
    ],
)
def test_a_purpose_is_plain_text(purpose: str, text: str, answers: Answers) -> None:
    """However a region marks a purpose up, a client gets its words."""
    adapter = answers(
        "GetSubjectOfCareSchedule", _booking(f"<c:purpose>{purpose}</c:purpose>")
    )

    (booking,) = adapter.get_subject_of_care_schedule(LIST, timeout=1).bookings

    assert booking.purpose == text


def test_names_and_reason_are_plain_text(answers: Answers) -> None:
    """Markup in a name or a reason gets no further than the adapter either."""
    adapter = answers(
        "GetSubjectOfCareSchedule",
        _booking(
            "<c:reason>Ont i &lt;b&gt;knät&lt;/b&gt;</c:reason>"
            "<c:performerName>&lt;i&gt;Dr&lt;/i&gt; Ek</c:performerName>"
            "<c:timeTypeName>Besök<b>!</b></c:timeTypeName>"
        ),
    )

    (booking,) = adapter.get_subject_of_care_schedule(LIST, timeout=1).bookings

    assert (booking.reason, booking.performer_name, booking.time_type_name) == (
        "Ont i knät",
        "Dr Ek",
        "Besök!",
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Kom <b>fastande</b> till oss", "Kom fastande till oss", id="b"),
        pytest.param("&lt;p&gt;Kom&lt;/p&gt;", "Kom", id="escaped"),
        pytest.param(
            "x" * 20_001,
            "The region's text is longer than 20000 characters and is not shown.",
            id="too long",
        ),
        pytest.param("", None, id="none"),
    ],
)
def test_a_message_is_reported_whole_or_missing(
    text: str, shown: str | None, answers: Answers
) -> None:
    """A text with elements inside is not cut; one that is too long is said to be."""
    adapter = answers(
        "CancelBooking",
        f"<resultCode>INFO</resultCode><resultText>{text}</resultText>",
    )

    result = adapter.cancel_booking(
        CancelBooking(
            unit=UNIT, booking_id=BookingId("B-1"), actor=Actor.resident(TOLVAN)
        ),
        timeout=1,
    )

    assert result == WriteResult(code=ResultCode.INFO, text=shown)


def test_a_booking_id_with_elements_inside_leaves_a_booking_unconfirmed(
    answers: Answers,
) -> None:
    """An identifier that is cut off would lead to another booking."""
    adapter = answers(
        "MakeBooking",
        "<bookingId>B<b/>1</bookingId><resultCode>OK</resultCode>",
    )

    with pytest.raises(WriteUnconfirmed, match="bookingId: has elements inside"):
        adapter.make_booking(
            MakeBooking(timeslot=timeslot(1), subject_of_care=subject(0)), timeout=1
        )


def test_a_fault_in_a_header_is_none_of_the_text(answers: Answers) -> None:
    """What else cannot be read of an answer does not make its text look too long."""
    adapter = answers(
        "CancelBooking",
        "<resultCode>INFO</resultCode><resultText>Ring</resultText>",
        '<ProcessingStatuss xmlns="urn:riv:interoperability:headers:1"/>',
    )

    result = adapter.cancel_booking(
        CancelBooking(
            unit=UNIT, booking_id=BookingId("B-1"), actor=Actor.resident(TOLVAN)
        ),
        timeout=1,
    )

    assert result == WriteResult(code=ResultCode.INFO, text="Ring")
