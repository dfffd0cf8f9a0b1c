"""
Lookups: find bookings and the writes to them.
"""

from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import (
    Row,
    Select,
    and_,
    case,
    or_,
    select,
)

from fhir_gateway.model.errors import NotFound
from fhir_gateway.model.grant import BookingOwner
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal.claim_steps import (
    OUR_ID,
    get_row,
    is_of_booking_id,
    is_of_resident,
)
from fhir_gateway.stores.journal.queries import (
    BOOKING_WITH_PENDING,
    INTENT,
    LATEST_INTENT,
    PENDING_INTENT,
    STANDING_BOOKING,
)
from fhir_gateway.stores.journal.records import (
    Alarm,
    BookingRecord,
    BookingState,
    WriteIntent,
)
from fhir_gateway.stores.journal.rows import (
    NUMBER,
    intent_from_row,
    record_from_row,
)
from fhir_gateway.stores.journal.tables import VOID, bookings, claims, intents
from fhir_gateway.stores.sealing import Seal

__all__ = ["Lookups"]

# Neither void nor a released hold.
_WAS_BOOKED: Final = and_(
    bookings.c.state != VOID,
    or_(
        bookings.c.state != BookingState.CANCELLED.value,
        bookings.c.confirmed_at.is_not(None),
    ),
)


class Lookups:
    """
    Finds bookings and write intents; changes nothing.

    Args:
        database: Where the journal is.
        seal: Opens what is personal.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def get(self, booking: str) -> BookingRecord:
        """
        Return the booking with our own id.

        Raises:
            NotFound: There is none, or the text is not our id.
        """
        with self._database.reading() as connection:
            return self._record(get_row(connection, booking))

    def get_with_pending(
        self, booking: str
    ) -> tuple[BookingRecord, WriteIntent | None]:
        """
        Return a booking and its unsettled write, both as of one moment.

        Raises:
            NotFound: There is none, or the text is not our id.
        """
        row = None
        if OUR_ID.fullmatch(booking):
            with self._database.reading() as connection:
                row = connection.execute(
                    BOOKING_WITH_PENDING, {"of_booking": booking}
                ).one_or_none()
        if row is None:
            raise NotFound("There is no such booking.")
        intent = (
            None
            if row.intent_id is None
            else self._intent(
                SimpleNamespace(
                    **{each.key: getattr(row, f"intent_{each.key}") for each in INTENT}
                )
            )
        )
        return self._record(row), intent

    def find_owner(self, booking: str) -> BookingOwner | None:
        """
        Return what decides who may see a booking.

        None: there is no booking of that id, it has been wiped, or the text is not our
        id.
        """
        try:
            record, intent = self.get_with_pending(booking)
        except NotFound:
            return None
        return record.owner(
            is_hold=intent is not None and intent.held_until is not None
        )

    def find_pending(self, booking: str) -> WriteIntent | None:
        """Return the unsettled write to a booking; None when there is none."""
        return self._find_intent(PENDING_INTENT, booking)

    def find_latest(self, booking: str) -> WriteIntent | None:
        """Return the last write to a booking; None when this server sent none."""
        return self._find_intent(LATEST_INTENT, booking)

    def has_alarm(self, booking: str, alarm: Alarm) -> bool:
        """Return whether any write to a booking has an alarm of that kind."""
        with self._database.reading() as connection:
            return (
                connection.execute(
                    select(intents.c.id)
                    .where(intents.c.booking == booking, intents.c.alarm == alarm.value)
                    .limit(1)
                ).one_or_none()
                is not None
            )

    def get_intent(self, intent: str) -> WriteIntent:
        """
        Return the write with that id.

        Raises:
            NotFound: There is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(*INTENT).where(intents.c.id == intent)
            ).one_or_none()
        if row is None:
            raise NotFound("There is no such write.")
        return self._intent(row)

    def list_of_resident(
        self, number: PersonalIdentityNumber
    ) -> tuple[BookingRecord, ...]:
        """
        Return a resident's bookings, ordered by start.

        Void bookings and released holds are left out: none of them was ever booked.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                select(bookings)
                .where(
                    is_of_resident(self._seal, number),
                    _WAS_BOOKED,
                )
                .order_by(bookings.c.starts_at, bookings.c.created_at, bookings.c.id)
            ).all()
        return tuple(self._record(row) for row in rows)

    def ids_at(self, token: TimeslotToken) -> tuple[str, ...]:
        """
        Return the ids of all bookings of a timeslot that were made here.

        The order is by id. Void bookings and released holds are left out.
        """
        with self._database.reading() as connection:
            return tuple(
                connection.scalars(
                    select(bookings.c.id)
                    .distinct()
                    .join(claims, claims.c.booking == bookings.c.id)
                    .where(
                        claims.c.token == token.text,
                        bookings.c.token == token.text,
                        _WAS_BOOKED,
                    )
                    .order_by(bookings.c.id)
                )
            )

    def find_standing(self, number: PersonalIdentityNumber, token: str) -> str | None:
        """Return the id of a resident's booking of a timeslot, booked or pending."""
        hashes = self._seal.lookups(NUMBER, number.reveal())
        with self._database.reading() as connection:
            found = connection.execute(
                STANDING_BOOKING, {"hashes": hashes, "timeslot_token": token}
            )
            standing: str | None = found.scalar_one_or_none()
            return standing

    def find_by_booking_id(
        self, source: SourceName, unit: HsaId, booking_id: BookingId
    ) -> BookingRecord | None:
        """
        Return the booking with that id of the region.

        Of several it is the BOOKED one, else the one changed last. None: there is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(bookings)
                .where(
                    bookings.c.source == source,
                    bookings.c.unit == unit,
                    is_of_booking_id(self._seal, {booking_id}),
                    bookings.c.state != VOID,
                )
                .order_by(
                    case((bookings.c.state == BookingState.BOOKED.value, 0), else_=1),
                    bookings.c.updated_at.desc(),
                )
                .limit(1)
            ).one_or_none()
        return None if row is None else self._record(row)

    def _record(self, row: Row[Any]) -> BookingRecord:
        return record_from_row(row, self._seal)

    def _intent(self, row: Row[Any] | SimpleNamespace) -> WriteIntent:
        return intent_from_row(row, self._seal)

    def _find_intent(self, chosen: Select[Any], booking: str) -> WriteIntent | None:
        if not OUR_ID.fullmatch(booking):
            return None
        with self._database.reading() as connection:
            row = connection.execute(chosen, {"of_booking": booking}).one_or_none()
        return None if row is None else self._intent(row)
