"""
The calls to a source that an open invitation needs.

With the invitation's id the source lists the units at which it can be booked, and their
times for it, also where nobody else is shown them (crm:scheduling 1.1, flow 7).
"""

from collections import Counter
from datetime import date
from typing import Final

from fhir_gateway.adapters.protocol import ListsUnits, ability
from fhir_gateway.model import scheduling
from fhir_gateway.model.errors import (
    MalformedAnswer,
    SourceFault,
    TimeslotTaken,
    Unsupported,
)
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.interaction import Asker
from fhir_gateway.model.invitation import OpenInvitation
from fhir_gateway.model.scheduling import (
    GetAllHealthcareFacilities,
    GetAvailableTimeslots,
)
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.model.timeslot import FreeTimes, Timeslot, TimeslotToken
from fhir_gateway.services.source.source_access import SourceAccess

__all__ = ["InvitationAccess"]

_UNITS: Final = scheduling.GET_ALL_HEALTHCARE_FACILITIES
_OTHER_TIME_TYPE: Final = "a time of another time type than the invitation's"


class InvitationAccess:
    """
    Asks sources about open invitations, each as the resident who is invited.

    Args:
        access: The sources.
    """

    def __init__(self, access: SourceAccess) -> None:
        self._access = access

    def list_units(self, invitation: OpenInvitation, asker: Asker) -> tuple[HsaId, ...]:
        """
        Return the units at which an invitation can be booked; none: it is not open.

        Where the source has no such list, it is the unit that invites. Units of another
        source are left out: they cannot be booked through this one.

        Raises:
            SourceFault: The list can be read in part only, and names no unit.
            GatewayError: The source could not be asked.
        """
        source = self._access.source(invitation.source)
        try:
            asked = ability(self._access.adapter(source.name), ListsUnits)
            answer = asked.get_all_healthcare_facilities(
                GetAllHealthcareFacilities(
                    unit=invitation.unit,
                    actor=asker.actor,
                    subject_of_care=asker.resident,
                    booking_id=invitation.booking_id,
                ),
                timeout=source.read_timeout.total_seconds(),
            )
        except Unsupported:
            return (invitation.unit,)
        self._access.note_losses(source.name, _UNITS, answer.rejected)
        units = tuple(
            dict.fromkeys(
                each.hsa_id
                for each in answer.items
                if self._access.find_owner(each.hsa_id) == source.name
            )
        )
        if answer.rejected and not units:
            raise SourceFault(
                "The region's list of units for the invitation cannot be read whole;"
                " try again, or contact the unit.",
                source=source.name,
                interaction=_UNITS.name,
            )
        return units

    def list_times(
        self,
        invitation: OpenInvitation,
        unit: HsaId,
        first_day: date,
        last_day: date,
        asker: Asker,
        *,
        timeout: float | None = None,
    ) -> FreeTimes:
        """
        Return the free times of a unit for an invitation, of its time type only.

        Args:
            invitation: The invitation.
            unit: One of `list_units`.
            first_day: The first day.
            last_day: The last day.
            asker: Who asks, and for which resident.
            timeout: In how many seconds, if fewer than the source may take.

        Raises:
            GatewayError: The source could not be asked.
        """
        source = self._access.source(invitation.source)
        longest = source.read_timeout.total_seconds()
        free = self._access.adapter(source.name).get_available_timeslots(
            GetAvailableTimeslots(
                unit=unit,
                actor=asker.actor,
                subject_of_care=asker.resident,
                first_day=first_day,
                last_day=last_day,
                # Units in one list of units have their time types in common.
                time_type_id=invitation.time_type_id,
                booking_id=invitation.booking_id,
            ),
            timeout=longest if timeout is None else min(timeout, longest),
        )
        fitting = tuple(
            each
            for each in free.timeslots
            if invitation.time_type_id in (None, each.schedule.time_type_id)
            and each.schedule.unit == unit
        )
        others = len(free.timeslots) - len(fitting)
        self._access.note_losses(
            source.name,
            scheduling.GET_AVAILABLE_TIMESLOTS,
            (*free.rejected, *Counter({_OTHER_TIME_TYPE: others}).elements()),
        )
        return FreeTimes(timeslots=fitting, rejected=free.rejected, as_of=free.as_of)

    def find_time(
        self, token: TimeslotToken, invitation: OpenInvitation, asker: Asker
    ) -> Timeslot:
        """
        Ask the source now for a free time for an invitation.

        Raises:
            TimeslotTaken: The source does not list the time.
            MalformedAnswer: Its list is readable only in part, and that lacks the time.
            GatewayError: The source could not be asked.
        """
        day = civil_date(token.starts_at)
        free = self.list_times(invitation, token.unit, day, day, asker)
        for timeslot in free.timeslots:
            if timeslot.token == token.text:
                return timeslot
        if free.rejected or free.as_of is not None:
            raise MalformedAnswer(
                "The region's list of that day is old or cannot be read whole, and does"
                " not have the slot; search again, or ask the unit.",
                element="timeslotDetail",
                source=invitation.source,
                interaction=scheduling.GET_AVAILABLE_TIMESLOTS.name,
            )
        raise TimeslotTaken(
            "The region does not offer that slot to this invitation any more; search"
            " again for another one.",
            source=invitation.source,
        )
