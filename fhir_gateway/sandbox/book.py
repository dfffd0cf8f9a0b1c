"""
The bookings of one region: each place of a time is sold once.

One lock protects everything. The thread that holds it can take it again. A caller can
therefore hold it over several calls: so a write and its row in the ledger are atomic.

It has over 400 lines, since everything in it needs that lock.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum

from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.timekeeping import (
    Clock,
    civil_date,
    civil_time_text,
    date_from_contract,
)
from fhir_gateway.sandbox.agenda import DAYS, Agenda, PlannedTime, TimeKey
from fhir_gateway.sandbox.catalogue import LocalTimeType, SandboxUnit

__all__ = ["Book", "BookedTime", "Party", "Refusal", "Refused", "RequestedTime"]


class Refusal(Enum):
    """Why a write was refused."""

    TAKEN = "taken"
    NO_SUCH_TIME = "no-such-time"
    NO_SUCH_BOOKING = "no-such-booking"
    NO_SUCH_INVITATION = "no-such-invitation"
    OTHER_TIME_TYPE = "other-time-type"
    NO_SUCH_PERSON = "no-such-person"
    NO_SUCH_PERFORMER = "no-such-performer"
    NO_SUCH_UNIT = "no-such-unit"
    MAY_NOT_CHANGE = "may-not-change"
    MAY_NOT_MESSAGE = "may-not-message"


class Refused(Exception):
    """The booking system refused a write."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedTime:
    """
    A time that a resident asks for.

    A given `performer` or `resource_id` must be that of the time. With `exact`, an
    absent one asks for a time without it.
    """

    unit: SandboxUnit
    start: str
    end: str
    time_type_id: str | None = None
    performer: str | None = None
    resource_id: str | None = None
    exact: bool = False

    def names(self, time: PlannedTime) -> bool:
        """Return whether a planned time is the requested one."""
        performer = time.calendar.performer.hsa_id if time.calendar.performer else None
        resource_id = time.calendar.resource.id if time.calendar.resource else None
        return (
            time.start == self.start
            and time.end == self.end
            and self._agrees(self.time_type_id, time.time_type.id)
            and self._agrees(self.performer, performer)
            and self._agrees(self.resource_id, resource_id)
        )

    def _agrees(self, asked: str | None, offered: str | None) -> bool:
        return asked == offered or (asked is None and not self.exact)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Party:
    """The resident of a booking, and the reason that the resident wrote."""

    subject_of_care: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BookedTime:
    """A booking or an invitation; an open invitation has no time yet."""

    booking_id: BookingId
    unit: SandboxUnit
    time_type: LocalTimeType
    party: Party
    time: PlannedTime | None = None
    purpose: str | None = None
    is_invitation: bool = False


class Book:
    """
    One region's bookings.

    Args:
        agenda: The planned times.
        clock: Times that have begun cannot be booked.
        booking_id_from_number: Returns the id of the first, the second… booking.

    Attributes:
        is_naive: Every request for a planned time succeeds, which no real booking
            system may do. A test finds a consumer that books twice by it.
    """

    def __init__(
        self,
        *,
        agenda: Agenda,
        clock: Clock,
        booking_id_from_number: Callable[[int], BookingId],
    ) -> None:
        self.lock = threading.RLock()
        self.is_naive = False
        self._agenda = agenda
        self._clock = clock
        self._booking_id_from_number = booking_id_from_number
        self._numbers = 0
        self._sold: Counter[TimeKey] = Counter()
        self._bookings: dict[BookingId, BookedTime] = {}
        self._protected: set[tuple[str, str]] = set()

    def protect(self, unit: SandboxUnit, time_type: LocalTimeType) -> None:
        """From now on only an invitation shows and books a unit's time type."""
        with self.lock:
            self._protected.add((unit.hsa_id, time_type.id))

    def is_protected(self, unit: SandboxUnit, time_type: LocalTimeType) -> bool:
        """Return whether only an invitation shows and books a unit's time type."""
        return (unit.hsa_id, time_type.id) in self._protected

    def free(
        self,
        unit: SandboxUnit,
        first_day: date,
        last_day: date,
        *,
        time_types: Sequence[LocalTimeType] | None = None,
    ) -> list[PlannedTime]:
        """Return the free times by start: one for each place that is left."""
        instant = self._clock()
        today = civil_date(instant)
        present = civil_time_text(instant)
        planned = [
            time
            for time in self._agenda.times(
                unit,
                max(first_day, today),
                min(last_day, today + timedelta(days=DAYS - 1)),
                time_types=time_types,
            )
            if time.is_free and time.start > present
        ]
        with self.lock:
            free = [
                time
                for time in planned
                for _ in range(time.time_type.places - self._sold.get(time.key, 0))
            ]
        free.sort(key=lambda time: time.start)
        return free

    def make(self, requested: RequestedTime, party: Party) -> BookedTime:
        """
        Book a time.

        Raises:
            Refused: TAKEN when its last place is sold; NO_SUCH_TIME when no such time
                is planned, it has begun, or its time type is protected.
        """
        with self.lock:
            time = self._sell(requested, lambda each: not self._protects(each))
            return self._keep(
                BookedTime(
                    booking_id=self._next_id(),
                    unit=time.unit,
                    time_type=time.time_type,
                    party=party,
                    time=time,
                )
            )

    def accept(
        self, booking_id: BookingId, requested: RequestedTime, party: Party
    ) -> BookedTime:
        """
        Book a time for an open invitation; the booking keeps the invitation's id.

        Raises:
            Refused: As for `make`; NO_SUCH_INVITATION when the resident has no such
                open invitation, or it has been answered; OTHER_TIME_TYPE when the time
                has another time type than the invitation.
        """
        with self.lock:
            invitation = self._bookings.get(booking_id)
            if (
                invitation is None
                or invitation.time is not None
                or invitation.party.subject_of_care != party.subject_of_care
            ):
                raise Refused(Refusal.NO_SUCH_INVITATION)
            invited = invitation.time_type.key
            if any(each.time_type.key != invited for each in self._planned(requested)):
                raise Refused(Refusal.OTHER_TIME_TYPE)
            time = self._sell(requested)
            return self._keep(
                replace(
                    invitation,
                    unit=time.unit,
                    time_type=time.time_type,
                    party=party,
                    time=time,
                    is_invitation=False,
                )
            )

    def move(
        self,
        booking_id: BookingId,
        requested: RequestedTime,
        party: Party,
        *,
        new_id: bool,
    ) -> BookedTime:
        """
        Move a booking to another time; an invitation becomes a booking.

        Args:
            booking_id: The booking to move.
            requested: The time to move it to.
            party: The resident of the booking, and the resident's new reason.
            new_id: The moved booking gets a new id.

        Raises:
            Refused: As for `make`; NO_SUCH_BOOKING when the resident has no such
                booking; MAY_NOT_CHANGE. The booking then keeps its old time.
        """
        with self.lock:
            booked = self.get(booking_id)
            if (
                booked.time is None
                or booked.party.subject_of_care != party.subject_of_care
            ):
                raise Refused(Refusal.NO_SUCH_BOOKING)
            if not booked.time_type.may_change:
                raise Refused(Refusal.MAY_NOT_CHANGE)
            time = self._sell(
                requested,
                lambda each: (
                    each.time_type.key == booked.time_type.key
                    or not self._protects(each)
                ),
            )
            self._return(booked.time)
            del self._bookings[booking_id]
            return self._keep(
                replace(
                    booked,
                    booking_id=self._next_id() if new_id else booking_id,
                    unit=time.unit,
                    time_type=time.time_type,
                    party=party,
                    time=time,
                    is_invitation=False,
                )
            )

    def cancel(self, booking_id: BookingId) -> BookedTime:
        """
        Cancel a booking; its time can be booked again at once.

        Raises:
            Refused: NO_SUCH_BOOKING or MAY_NOT_CHANGE.
        """
        with self.lock:
            booked = self.get(booking_id)
            if booked.time is None:
                raise Refused(Refusal.NO_SUCH_BOOKING)
            if not booked.time_type.may_change:
                raise Refused(Refusal.MAY_NOT_CHANGE)
            self._return(booked.time)
            return self._bookings.pop(booking_id)

    def withdraw(self, booking_id: BookingId) -> BookedTime:
        """
        Take an open invitation back, as the unit does.

        Raises:
            Refused: NO_SUCH_INVITATION.
        """
        with self.lock:
            invitation = self._bookings.get(booking_id)
            if invitation is None or invitation.time is not None:
                raise Refused(Refusal.NO_SUCH_INVITATION)
            return self._bookings.pop(booking_id)

    def get(self, booking_id: str | None) -> BookedTime:
        """
        Return a booking or an invitation.

        Raises:
            Refused: NO_SUCH_BOOKING.
        """
        with self.lock:
            booked = self._bookings.get(BookingId(booking_id or ""))
        if booked is None:
            raise Refused(Refusal.NO_SUCH_BOOKING)
        return booked

    def all(self) -> tuple[BookedTime, ...]:
        """Return every booking and invitation, oldest first."""
        with self.lock:
            return tuple(self._bookings.values())

    def coming(self, subject_of_care: str) -> list[BookedTime]:
        """Return a resident's bookings that have not ended, by start."""
        present = civil_time_text(self._clock())
        return sorted(
            (
                booked
                for booked in self.all()
                if booked.time is not None
                and booked.party.subject_of_care == subject_of_care
                and booked.time.end > present
            ),
            key=lambda booked: booked.time.start if booked.time else "",
        )

    def invite(
        self,
        unit: SandboxUnit,
        time_type: LocalTimeType,
        party: Party,
        *,
        purpose: str | None,
        in_days: int | None,
        is_invitation: bool = True,
    ) -> BookedTime | None:
        """
        Invite a resident to the first free time after some days, or to choose a time.

        Args:
            unit: The unit that invites.
            time_type: The time type of the visit.
            party: The resident.
            purpose: The reason, in the unit's own words.
            in_days: The time is at least so many days ahead; None makes the invitation
                open.
            is_invitation: Otherwise the resident has called, and it is a booking.

        Returns:
            The invitation, or None when there is no free time.
        """
        with self.lock:
            time = None
            if in_days is not None:
                today = civil_date(self._clock())
                free = self.free(
                    unit,
                    today + timedelta(days=in_days),
                    today + timedelta(days=DAYS),
                    time_types=(time_type,),
                )
                if not free:
                    return None
                time = free[0]
                self._sold[time.key] += 1
            return self._keep(
                BookedTime(
                    booking_id=self._next_id(),
                    unit=unit,
                    time_type=time_type,
                    party=party,
                    time=time,
                    purpose=purpose,
                    is_invitation=is_invitation,
                )
            )

    def _planned(self, requested: RequestedTime) -> list[PlannedTime]:
        instant = self._clock()
        day = date_from_contract(requested.start[:8])
        today = civil_date(instant)
        if not (
            today <= day < today + timedelta(days=DAYS)
            and requested.start > civil_time_text(instant)
        ):
            raise Refused(Refusal.NO_SUCH_TIME)
        return [
            time
            for time in self._agenda.times(requested.unit, day, day)
            if requested.names(time)
        ]

    def _sell(
        self,
        requested: RequestedTime,
        is_bookable: Callable[[PlannedTime], bool] = lambda _: True,
    ) -> PlannedTime:
        named = [each for each in self._planned(requested) if is_bookable(each)]
        if not named:
            raise Refused(Refusal.NO_SUCH_TIME)
        for time in named:
            if time.is_free and (
                self.is_naive or self._sold[time.key] < time.time_type.places
            ):
                self._sold[time.key] += 1
                return time
        raise Refused(Refusal.TAKEN)

    def _protects(self, time: PlannedTime) -> bool:
        return self.is_protected(time.unit, time.time_type)

    def _return(self, time: PlannedTime) -> None:
        self._sold[time.key] -= 1

    def _keep(self, booked: BookedTime) -> BookedTime:
        self._bookings[booked.booking_id] = booked
        return booked

    def _next_id(self) -> BookingId:
        self._numbers += 1
        return self._booking_id_from_number(self._numbers)
