"""
Appointment from a booking.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_gateway.fhir.appointment import appointment_from_booking, instruction
from fhir_gateway.fhir.limits import MOST_SENT_BACK_BYTES
from fhir_gateway.fhir.vocabulary import ERROR_CODE, Vocabulary
from fhir_gateway.model.booking import (
    Booking,
    BookingPermissions,
    BookingStatus,
    CancelledBy,
    ManagedBooking,
)
from fhir_gateway.model.formatted_text import Form, FormattedText, Part
from fhir_gateway.model.ids import (
    BookingId,
    HsaId,
    PerformerId,
    ResourceId,
    SourceName,
    TimeTypeId,
)
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timeslot import Schedule, Timeslot, TimeType
from fhir_gateway.rivta.limit import MOST_OF_IDENTIFIER, MOST_OF_NAME, MOST_OF_TEXT

_OURS = Vocabulary("https://ours.example")
_START = datetime(2026, 6, 8, 8, 0, tzinfo=UTC)
_SCHEDULE = Schedule(
    unit=HsaId("SE2321000016-A01"),
    time_type_id=TimeTypeId("TT1"),
    time_type_name="Provtagning",
    performer=PerformerId("SE2321000016-P1"),
    performer_name="Anna Provberg",
)
_TIMESLOT = Timeslot(
    schedule=_SCHEDULE, start=_START, end=_START + timedelta(minutes=15)
)
_BOOKING = ManagedBooking(
    id="019ab1f4-7c52-7d3e-9b0a-5d2f6c8e1a03",
    version=2,
    status=BookingStatus.BOOKED,
    source=SourceName("norr"),
    timeslot=_TIMESLOT,
    booking_id=BookingId("NB-1"),
    number=PersonalIdentityNumber("191212121212"),
    permissions=BookingPermissions(cancel=True, rebook=True),
    is_invitation=False,
    created_at=datetime(2026, 6, 1, 6, 0, tzinfo=UTC),
    updated_at=datetime(2026, 6, 1, 6, 1, tzinfo=UTC),
    confirmed_at=datetime(2026, 6, 1, 6, 2, tzinfo=UTC),
)
_TOKEN = _TIMESLOT.token
_SERVICE = _TOKEN.rsplit(".", 3)[0]


def appointment(booking: ManagedBooking = _BOOKING, **options: Any) -> dict[str, Any]:
    """Return the Appointment of a booking."""
    return appointment_from_booking(
        booking,
        TimeType(id=TimeTypeId("TT1"), name="Provtagning"),
        unit_name="Vårdcentralen",
        vocabulary=_OURS,
        **options,
    )


def permissions(*, cancel: bool, rebook: bool, message: bool) -> dict[str, Any]:
    """Return the extension that says what the region permits."""
    return {
        "extension": [
            {"url": "cancelBookingAllowed", "valueBoolean": cancel},
            {"url": "rebookingAllowed", "valueBoolean": rebook},
            {"url": "messageAllowed", "valueBoolean": message},
        ],
        "url": "https://ours.example/StructureDefinition/booking-permissions",
    }


def test_a_booking_is_an_appointment() -> None:
    """An appointment shows what is booked, where, for whom, and what may be done."""
    assert appointment() == {
        "resourceType": "Appointment",
        "id": "019ab1f4-7c52-7d3e-9b0a-5d2f6c8e1a03",
        "meta": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/lastSourceSync",
                    "valueDateTime": "2026-06-01T08:02:00+02:00",
                }
            ],
            "versionId": "2",
            "lastUpdated": "2026-06-01T08:01:00+02:00",
            "source": "https://ours.example/source/norr",
            "profile": ["https://ours.example/StructureDefinition/appointment"],
        },
        "extension": [
            permissions(cancel=True, rebook=True, message=False),
            {
                "url": "https://ours.example/StructureDefinition/is-invitation",
                "valueBoolean": False,
            },
        ],
        "identifier": [
            {
                "system": (
                    "https://ours.example/identifier/booking-id/SE2321000016-A01"
                ),
                "value": "NB-1",
            }
        ],
        "status": "booked",
        "serviceType": [
            {
                "coding": [
                    {
                        "system": (
                            "https://ours.example/CodeSystem/"
                            "time-types-SE2321000016-A01"
                        ),
                        "code": "TT1",
                        "display": "Provtagning",
                    }
                ],
                "text": "Provtagning",
            }
        ],
        "start": "2026-06-08T10:00:00+02:00",
        "end": "2026-06-08T10:15:00+02:00",
        "slot": [{"reference": f"Slot/{_TOKEN}"}],
        "created": "2026-06-01T08:00:00+02:00",
        "participant": [
            {
                "actor": {
                    "type": "Patient",
                    "identifier": {
                        "system": "http://electronichealth.se/identifier/personnummer",
                        "value": "191212121212",
                    },
                },
                "status": "accepted",
            },
            {
                "actor": {
                    "reference": "Location/SE2321000016-A01",
                    "display": "Vårdcentralen",
                },
                "status": "accepted",
            },
            {
                "actor": {
                    "reference": f"HealthcareService/{_SERVICE}",
                    "display": "Provtagning",
                },
                "status": "accepted",
            },
            {
                "actor": {
                    "type": "Practitioner",
                    "identifier": {
                        "system": "urn:oid:1.2.752.29.4.19",
                        "value": "SE2321000016-P1",
                    },
                    "display": "Anna Provberg",
                },
                "status": "accepted",
            },
        ],
    }


def test_a_regions_message_is_shown_and_contained() -> None:
    """The region's text is in patientInstruction and in a contained outcome."""
    rendered = appointment(replace(_BOOKING, message="Kom fastande.", purpose="Prov."))

    plain = appointment()
    assert rendered == {
        **plain,
        "contained": [
            {
                "resourceType": "OperationOutcome",
                "id": "region-message",
                "issue": [
                    {
                        "severity": "information",
                        "code": "informational",
                        "details": {
                            "coding": [
                                {"system": ERROR_CODE, "code": "REGION_MESSAGE"}
                            ],
                            "text": "Kom fastande.",
                        },
                    }
                ],
            }
        ],
        "extension": [
            *plain["extension"],
            {
                "url": "https://ours.example/StructureDefinition/region-message",
                "valueReference": {"reference": "#region-message"},
            },
        ],
        "patientInstruction": "Kom fastande.\n\nProv.",
    }


@pytest.mark.parametrize(
    ("message", "purpose", "text"),
    [
        pytest.param(None, None, None, id="nothing"),
        pytest.param("A", None, "A", id="the region's message"),
        pytest.param(None, "B", "B", id="the unit's purpose"),
        pytest.param("A", "B", "A\n\nB", id="both, the message first"),
    ],
)
def test_the_instruction_has_all_texts_for_the_resident(
    message: str | None, purpose: str | None, text: str | None
) -> None:
    """An instruction is the region's message, then the unit's purpose."""
    booking = replace(_BOOKING, message=message, purpose=purpose)

    assert instruction(booking) == text


def test_a_purpose_with_a_form_has_a_narrative() -> None:
    """The narrative has what is booked, the region's message and the unit's text."""
    booking = replace(
        _BOOKING,
        message="Kom & fasta.",
        purpose=FormattedText(
            "Ta med kort.",
            (
                Part(
                    form=Form.PARAGRAPH,
                    content=(
                        "Ta med ",
                        Part(form=Form.STRONG, content=("kort",)),
                        ".",
                    ),
                ),
            ),
        ),
    )

    assert appointment(booking)["text"] == {
        "status": "generated",
        "div": (
            '<div xmlns="http://www.w3.org/1999/xhtml"><p>Provtagning, Vårdcentralen,'
            " 2026-06-08 10:00 - 10:15 (booked)</p><p>Kom &amp; fasta.</p>"
            "<p>Ta med <strong>kort</strong>.</p></div>"
        ),
    }


def test_a_plain_purpose_has_no_narrative() -> None:
    """The plain words stand in patientInstruction; a narrative would add nothing."""
    assert "text" not in appointment(replace(_BOOKING, purpose="Ta med kort."))


@pytest.mark.parametrize(("characters", "narratives"), [(32_000, 1), (33_000, 0)])
def test_a_very_long_narrative_is_left_out(characters: int, narratives: int) -> None:
    """A narrative has 32 KiB at most; the plain words are there in any case."""
    words = "x" * characters
    purpose = FormattedText(words, (Part(form=Form.PARAGRAPH, content=(words,)),))

    rendered = appointment(replace(_BOOKING, purpose=purpose))

    assert (list(rendered).count("text"), rendered["patientInstruction"]) == (
        narratives,
        words,
    )


@pytest.mark.parametrize(
    ("status", "code", "participation"),
    [
        pytest.param(BookingStatus.PENDING, "pending", "needs-action", id="pending"),
        pytest.param(BookingStatus.BOOKED, "booked", "accepted", id="booked"),
        pytest.param(BookingStatus.CANCELLED, "cancelled", "accepted", id="cancelled"),
    ],
)
def test_a_status_is_everybodys(
    status: BookingStatus, code: str, participation: str
) -> None:
    """The participants take part as the appointment stands."""
    rendered = appointment(replace(_BOOKING, status=status))

    assert rendered["status"] == code
    assert {each["status"] for each in rendered["participant"]} == {participation}


def test_every_booking_status_is_a_status() -> None:
    """No state of a booking is without an appointment."""
    for status in BookingStatus:
        assert appointment(replace(_BOOKING, status=status))["status"]


def test_what_is_not_known_is_left_out() -> None:
    """A booking that was never confirmed has neither sync nor the region's id."""
    rendered = appointment(replace(_BOOKING, booking_id=None, confirmed_at=None))

    plain = appointment()
    del plain["identifier"]
    del plain["meta"]["extension"]
    assert rendered == plain


def test_what_cannot_be_read_is_not_referred_to() -> None:
    """
    Without a known service there is no reference to one; without times, none to a slot.
    """
    rendered = appointment(is_offered=False, is_listed=False)

    plain = appointment()
    del plain["slot"]
    del plain["participant"][2]
    assert rendered == plain


def test_a_residents_words_are_the_comment() -> None:
    """What the resident wrote stands in the comment."""
    rendered = appointment(replace(_BOOKING, reason="Hej"))

    assert rendered == appointment() | {"comment": "Hej"}


def test_an_invitation_says_so() -> None:
    """An invitation has its extension set."""
    rendered = appointment(replace(_BOOKING, is_invitation=True))

    assert rendered["extension"][1] == {
        "url": "https://ours.example/StructureDefinition/is-invitation",
        "valueBoolean": True,
    }


def test_a_coordination_number_has_its_own_system() -> None:
    """A samordningsnummer is shown under the system of such numbers."""
    number = PersonalIdentityNumber("197010632391")

    rendered = appointment(replace(_BOOKING, number=number))
    assert rendered["participant"][0]["actor"]["identifier"] == {
        "system": "http://electronichealth.se/identifier/samordningsnummer",
        "value": "197010632391",
    }


@pytest.mark.parametrize(
    ("changes", "staff"),
    [
        pytest.param({}, [], id="nobody"),
        pytest.param(
            {"resource_id": ResourceId("191212121212"), "resource_name": "Rum 1"},
            [{"display": "Rum 1"}],
            id="a room, without its code",
        ),
        pytest.param(
            {"performer": PerformerId("SE2321000016-P1")},
            [
                {
                    "type": "Practitioner",
                    "identifier": {
                        "system": "urn:oid:1.2.752.29.4.19",
                        "value": "SE2321000016-P1",
                    },
                }
            ],
            id="somebody without a name",
        ),
    ],
)
def test_staff_is_shown_as_far_as_it_is_known(
    changes: dict[str, Any], staff: list[dict[str, Any]]
) -> None:
    """A performer is shown by HSA-id, a room by its name."""
    schedule = replace(_SCHEDULE, performer=None, performer_name=None)
    timeslot = replace(_TIMESLOT, schedule=replace(schedule, **changes))

    rendered = appointment(replace(_BOOKING, timeslot=timeslot))
    assert [each["actor"] for each in rendered["participant"][3:]] == staff


@pytest.mark.parametrize(
    "character",
    [
        pytest.param("\N{GRINNING FACE}", id="four bytes each"),
        pytest.param("\n", id="an escape each"),
    ],
)
def test_no_appointment_is_too_large_to_be_sent_back(character: str) -> None:
    """With every text as long as a region's may be, it fits into a body of PUT."""
    text, name = character * MOST_OF_TEXT, character * MOST_OF_NAME
    identifier = "X" * MOST_OF_IDENTIFIER
    rendered = appointment_from_booking(
        replace(
            _BOOKING,
            message=text,
            purpose=FormattedText(
                text, (Part(form=Form.PARAGRAPH, content=(character * 8_000,)),)
            ),
            reason=text,
            booking_id=BookingId(identifier),
            timeslot=replace(
                _TIMESLOT,
                schedule=replace(_SCHEDULE, time_type_name=name, performer_name=name),
            ),
        ),
        TimeType(id=TimeTypeId(identifier), name=name),
        unit_name=name,
        vocabulary=_OURS,
    )

    sent = json.dumps(rendered, ensure_ascii=False).encode()

    assert len(sent) <= MOST_SENT_BACK_BYTES


def test_a_booking_without_a_time_type_has_no_service_type() -> None:
    """What a source does not say is left out, and the rest is shown."""
    timeslot = Booking(
        unit=_SCHEDULE.unit, booking_id=None, start=_TIMESLOT.start, end=None
    ).timeslot
    assert timeslot is not None

    shown = appointment(
        replace(_BOOKING, timeslot=timeslot, booking_id=None),
        is_offered=False,
        is_listed=False,
    )

    assert {"identifier", "serviceType", "slot"}.isdisjoint(shown)
    assert (shown["status"], shown["start"]) == ("booked", shown["end"])
    assert [each["actor"].get("reference") for each in shown["participant"]] == [
        None,
        f"Location/{_SCHEDULE.unit}",
    ]


def test_a_cancelled_one_says_who_cancelled_it() -> None:
    """The extension is there for what was booked and is cancelled."""
    rendered = appointment(
        replace(
            _BOOKING,
            status=BookingStatus.CANCELLED,
            cancelled_by=CancelledBy.PROFESSIONAL,
        )
    )

    assert rendered["extension"][-1] == {
        "url": "https://ours.example/StructureDefinition/cancelled-by",
        "valueCode": "professional",
    }
