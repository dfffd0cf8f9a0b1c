"""
The times in a client's Appointment, compared with those of its slot.

The functions get the valid part of the Appointment. No message repeats a value.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_gateway.fhir.appointment_references import participants
from fhir_gateway.fhir.outcome import Issue
from fhir_gateway.model.timekeeping import instant_from_text, period_from_search_text
from fhir_gateway.model.timeslot import TimeslotToken

__all__ = ["disagreements"]


def disagreements(
    appointment: Mapping[str, Any], token: TimeslotToken
) -> Iterator[Issue]:
    """Yield a fault for each time of a client's Appointment that is not its slot's."""
    for name, slots in (("start", token.starts_at), ("end", token.ends_at)):
        given = appointment.get(name)
        if given is not None and instant_from_text(given) != slots:
            yield _fault(
                "value",
                f"{name} is not the slot's: leave it out or give the slot's.",
                f"Appointment.{name}",
            )
    minutes = appointment.get("minutesDuration")
    if minutes is not None and minutes * 60 != token.length:
        yield _fault(
            "value",
            "minutesDuration is not the slot's: leave it out or give the slot's.",
            "Appointment.minutesDuration",
        )
    wanted = appointment.get("requestedPeriod", ())
    if wanted and not any(_overlaps(period, token) for period in wanted):
        yield _fault(
            "value",
            "The slot is in none of these periods: leave them out, or choose"
            " another slot.",
            "Appointment.requestedPeriod",
        )
    for where, participant in participants(appointment):
        if not _overlaps(participant.get("period", {}), token):
            yield _fault(
                "value",
                "The slot is not in the participant's period: leave it out.",
                f"{where}.period",
            )


def _overlaps(period: Mapping[str, Any], token: TimeslotToken) -> bool:
    """Return whether a slot overlaps a Period, which may be open at either end."""
    start, end = period.get("start"), period.get("end")
    try:
        return (
            start is None or period_from_search_text(start)[0] < token.ends_at
        ) and (end is None or token.starts_at < period_from_search_text(end)[1])
    except ValueError:
        # A second or a year that Python cannot express.
        return True


def _fault(code: str, diagnostics: str, expression: str) -> Issue:
    return Issue(code=code, diagnostics=diagnostics, expression=expression)
