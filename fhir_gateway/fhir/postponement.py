"""
Postponement: an update with new times and no new slot (HL7 Austria).

The client changes `start` and `end`; the slot is that of the same schedule at those
times. An Appointment that names another slot than its own, and times that are not that
slot's, contradicts itself: a caller checks that the slot is the present one.
"""

from collections.abc import Mapping
from typing import Any

from fhir_gateway.fhir.reference import own_id
from fhir_gateway.model.timekeeping import epoch_seconds, instant_from_text
from fhir_gateway.model.timeslot import TimeslotToken

__all__ = ["named_slot", "postponed"]


def named_slot(appointment: object, base_url: str) -> TimeslotToken | None:
    """Return the one slot that an Appointment names; None for none or for several."""
    match appointment:
        case {"slot": [{"reference": str(reference)}]}:
            try:
                return TimeslotToken.parse(own_id(reference, "Slot", base_url) or "")
            except ValueError:
                return None
    return None


def postponed(
    appointment: Mapping[str, Any], present: TimeslotToken
) -> dict[str, Any] | None:
    """
    Return an Appointment with the slot that its times say.

    None: it does not have other times than its present slot, or no readable ones.

    Args:
        appointment: The Appointment as the client sent it.
        present: The slot that it names, or that its booking has.
    """
    match appointment:
        case {"start": str(start), "end": str(end)}:
            first, last = instant_from_text(start), instant_from_text(end)
            if first is None or last is None:
                return None
            try:
                begin = epoch_seconds(first)
                token = TimeslotToken(
                    schedule=present.schedule,
                    start=begin,
                    length=epoch_seconds(last) - begin,
                )
                # Only its text says whether there can be such a slot.
                text = TimeslotToken.parse(token.text).text
            except ValueError:
                return None
            if text == present.text:
                return None
            return {**appointment, "slot": [{"reference": f"Slot/{text}"}]}
    return None
