"""
The units that residents have added to those that their lists ask.

The number is sealed, and is looked up by its keyed hash, as in the journal.
"""

from collections.abc import Collection
from typing import Final
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from fhir_gateway.model.errors import LimitReached
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal.rows import NUMBER, values_from_subject
from fhir_gateway.stores.journal.tables import added_units
from fhir_gateway.stores.sealing import Seal

__all__ = ["MOST_UNITS", "AddedUnits"]

MOST_UNITS: Final = 50
"""The units that one resident may add: each is one more call of each list."""


class AddedUnits:
    """
    The units that residents have added.

    Each method is one transaction, and may raise `DatabaseUnavailable`.

    Args:
        database: Where they are.
        seal: Seals the numbers.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def units_of(self, number: PersonalIdentityNumber) -> tuple[HsaId, ...]:
        """Return the units that a resident has added, sorted."""
        with self._database.reading() as connection:
            return self._read(connection, number)

    def change(
        self,
        number: PersonalIdentityNumber,
        *,
        add: Collection[HsaId],
        remove: Collection[HsaId],
    ) -> None:
        """
        Add units and remove others; what is so already stays so.

        Raises:
            LimitReached: The resident would have too many; nothing is changed.
        """
        of_resident = self._is_of(number)
        with self._database.writing() as connection:
            known = self._read(connection, number)
            new = sorted(set(add) - set(known) - set(remove))
            if len(set(known) - set(remove)) + len(new) > MOST_UNITS:
                raise LimitReached(
                    f"A resident can add at most {MOST_UNITS} units: remove one of"
                    " them first."
                )
            if remove:
                connection.execute(
                    delete(added_units).where(
                        of_resident, added_units.c.unit.in_(sorted(remove))
                    )
                )
            for unit in new:
                connection.execute(
                    insert(added_units).values(
                        id=str(uuid4()),
                        unit=unit,
                        created_at=database_clock(),
                        **values_from_subject({NUMBER: number.reveal()}, self._seal),
                    )
                )

    def _read(
        self, connection: Connection, number: PersonalIdentityNumber
    ) -> tuple[HsaId, ...]:
        return tuple(
            HsaId(unit)
            for unit in connection.scalars(
                select(added_units.c.unit)
                .distinct()
                .where(self._is_of(number))
                .order_by(added_units.c.unit)
            )
        )

    def _is_of(self, number: PersonalIdentityNumber) -> ColumnElement[bool]:
        hashes = self._seal.lookups(NUMBER, number.reveal())
        return added_units.c.subject_hmac.in_(hashes)
