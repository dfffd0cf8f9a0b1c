"""
A proposed Appointment from an open invitation (FHIR R4, app-2 and app-3).
"""

from dataclasses import replace
from datetime import UTC, datetime

from fhir.resources.R4B import (  # noqa: TID251 - a reader of FHIR that is not ours
    get_fhir_model_class,
)

from fhir_gateway.fhir.open_invitation import appointment_from_invitation
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.booking import BookingPermissions, BookingStatus
from fhir_gateway.model.formatted_text import Form, FormattedText, Part
from fhir_gateway.model.ids import BookingId, HsaId, SourceName, TimeTypeId
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timeslot import NO_TIME_TYPE, Schedule, TimeType

_OURS = Vocabulary("https://ours.example")
_UNIT = HsaId("SE2321000016-A01")
_INVITATION = OpenInvitation(
    id="019ab1f4-7c52-7d3e-9b0a-5d2f6c8e1a03",
    version=3,
    status=BookingStatus.PROPOSED,
    source=SourceName("norr"),
    schedule=Schedule(
        unit=_UNIT, time_type_id=TimeTypeId("TT1"), time_type_name="Provtagning"
    ),
    booking_id=BookingId("K-1"),
    number=PersonalIdentityNumber("191212121212"),
    permissions=BookingPermissions(),
    created_at=datetime(2026, 6, 1, 6, 0, tzinfo=UTC),
    updated_at=datetime(2026, 6, 1, 6, 1, tzinfo=UTC),
    confirmed_at=datetime(2026, 6, 1, 6, 2, tzinfo=UTC),
    purpose="Dags för kontroll.",
)


def rendered(
    invitation: OpenInvitation, *, is_offered: bool = True
) -> dict[str, object]:
    """Return the Appointment of an invitation."""
    return appointment_from_invitation(
        invitation,
        TimeType(id=TimeTypeId("TT1"), name="Provtagning"),
        unit_name="Vårdcentralen",
        vocabulary=_OURS,
        is_offered=is_offered,
    )


def test_an_open_invitation_has_no_time() -> None:
    """It says who is invited, by whom, to what; and neither start, end nor slot."""
    service_type = {
        "coding": [
            {
                "system": f"https://ours.example/CodeSystem/time-types-{_UNIT}",
                "code": "TT1",
                "display": "Provtagning",
            }
        ],
        "text": "Provtagning",
    }

    assert rendered(_INVITATION, is_offered=False) == {
        "resourceType": "Appointment",
        "id": "019ab1f4-7c52-7d3e-9b0a-5d2f6c8e1a03",
        "meta": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/lastSourceSync",
                    "valueDateTime": "2026-06-01T08:02:00+02:00",
                }
            ],
            "versionId": "3",
            "lastUpdated": "2026-06-01T08:01:00+02:00",
            "source": "https://ours.example/source/norr",
            "profile": ["https://ours.example/StructureDefinition/appointment"],
        },
        "extension": [
            {
                "extension": [
                    {"url": "cancelBookingAllowed", "valueBoolean": False},
                    {"url": "rebookingAllowed", "valueBoolean": False},
                    {"url": "messageAllowed", "valueBoolean": False},
                ],
                "url": "https://ours.example/StructureDefinition/booking-permissions",
            },
            {
                "url": "https://ours.example/StructureDefinition/is-invitation",
                "valueBoolean": True,
            },
        ],
        "identifier": [
            {
                "system": f"https://ours.example/identifier/booking-id/{_UNIT}",
                "value": "K-1",
            }
        ],
        "status": "proposed",
        "serviceType": [service_type],
        "created": "2026-06-01T08:00:00+02:00",
        "patientInstruction": "Dags för kontroll.",
        "participant": [
            {
                "actor": {
                    "type": "Patient",
                    "identifier": {
                        "system": "http://electronichealth.se/identifier/personnummer",
                        "value": "191212121212",
                    },
                },
                "status": "needs-action",
            },
            {
                "actor": {
                    "reference": f"Location/{_UNIT}",
                    "display": "Vårdcentralen",
                },
                "status": "accepted",
            },
        ],
    }


def test_an_open_invitation_is_valid_r4() -> None:
    """A reader of FHIR that is not ours reads it, open and taken back."""
    for status in (BookingStatus.PROPOSED, BookingStatus.CANCELLED):
        shown = rendered(replace(_INVITATION, status=status))
        read = get_fhir_model_class("Appointment").model_validate(shown)

        assert (read.status, read.start, read.end) == (status.value, None, None)


def test_an_invitation_without_a_time_type_has_no_service_type() -> None:
    """A source need not state the time type."""
    schedule = replace(_INVITATION.schedule, time_type_id=NO_TIME_TYPE)
    shown = rendered(replace(_INVITATION, schedule=schedule), is_offered=False)

    assert "serviceType" not in shown


def test_the_units_form_is_a_narrative() -> None:
    """A purpose with a form is a narrative, and plain text beside it."""
    purpose = FormattedText(
        "Dags för kontroll.",
        (Part(form=Form.PARAGRAPH, content=("Dags för kontroll.",)),),
    )
    shown = rendered(replace(_INVITATION, purpose=purpose))

    assert shown["patientInstruction"] == "Dags för kontroll."
    assert shown["text"] == {
        "status": "generated",
        "div": (
            '<div xmlns="http://www.w3.org/1999/xhtml">'
            "<p>Provtagning, Vårdcentralen (proposed)</p>"
            "<p>Dags för kontroll.</p></div>"
        ),
    }
