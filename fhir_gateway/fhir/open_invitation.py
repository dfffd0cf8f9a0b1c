"""
A proposed Appointment (FHIR R4, 12.8) from an open invitation.

It has neither start nor end: app-2 and app-3 permit that while it is proposed, or after
it has been cancelled.
"""

from typing import Any

from fhir_gateway.fhir.appointment import (
    extensions_of_permissions,
    offering_actors,
    patient_actor,
)
from fhir_gateway.fhir.narrative import narrative_from_text
from fhir_gateway.fhir.service_type import service_type_from_time_type
from fhir_gateway.fhir.slot import meta_of_source
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.formatted_text import FormattedText
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.timekeeping import instant_text
from fhir_gateway.model.timeslot import TimeType

__all__ = ["appointment_from_invitation"]


def appointment_from_invitation(
    invitation: OpenInvitation,
    time_type: TimeType,
    *,
    unit_name: str,
    vocabulary: Vocabulary,
    is_offered: bool,
) -> dict[str, Any]:
    """
    Return an Appointment: who is invited, by whom, to what.

    Args:
        invitation: The invitation.
        time_type: Its time type.
        unit_name: The unit's name for people.
        vocabulary: Our canonicals.
        is_offered: Whether anybody can book its time type: otherwise there is no
            HealthcareService to refer to.
    """
    unit = invitation.unit
    meta = meta_of_source(
        invitation.source,
        vocabulary,
        "appointment",
        answered_at=invitation.confirmed_at,
    )
    appointment: dict[str, Any] = {
        "resourceType": "Appointment",
        "id": invitation.id,
        "meta": {
            "extension": meta["extension"],
            "versionId": str(invitation.version),
            "lastUpdated": instant_text(invitation.updated_at),
            "source": meta["source"],
            "profile": meta["profile"],
        },
    }
    if isinstance(invitation.purpose, FormattedText):
        essence = f"{time_type.name}, {unit_name} ({invitation.status.value})"
        narrative = narrative_from_text(essence, invitation.purpose)
        if narrative is not None:
            appointment["text"] = narrative
    appointment["extension"] = extensions_of_permissions(
        invitation.permissions, vocabulary, is_invitation=True
    )
    appointment["identifier"] = [
        {
            "system": vocabulary.booking_ids(unit),
            "value": str(invitation.booking_id),
        }
    ]
    appointment["status"] = invitation.status.value
    if invitation.time_type_id is not None:
        appointment["serviceType"] = [
            service_type_from_time_type(time_type, unit, vocabulary)
        ]
    appointment["created"] = instant_text(invitation.created_at)
    if invitation.purpose:
        appointment["patientInstruction"] = str(invitation.purpose)
    offering = offering_actors(
        invitation.schedule, time_type, unit_name, is_offered=is_offered
    )
    appointment["participant"] = [
        {"actor": patient_actor(invitation.number), "status": "needs-action"},
        *({"actor": actor, "status": "accepted"} for actor in offering),
    ]
    return appointment
