"""
What a unit can do with bookings, by the contracts that it supports.
"""

from enum import Enum

from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction

__all__ = ["UnitAbility"]


class UnitAbility(Enum):
    """
    An ability, by the name that clients see.

    A unit needs one contract for each; `interaction` says which.
    """

    BOOK = "book"
    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    LIST = "list"

    @property
    def interaction(self) -> Interaction:
        """Return the interaction that a unit must support for it."""
        return _INTERACTIONS[self]


_INTERACTIONS = {
    UnitAbility.BOOK: scheduling.MAKE_BOOKING,
    UnitAbility.RESCHEDULE: scheduling.UPDATE_BOOKING,
    UnitAbility.CANCEL: scheduling.CANCEL_BOOKING,
    UnitAbility.LIST: scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
}
