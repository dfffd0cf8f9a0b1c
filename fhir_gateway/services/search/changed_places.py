"""
Changed places: a claim or a release of this process shows at once in its own searches.
"""

from fhir_gateway.services.search.held_timeslots import HeldTimeslots
from fhir_gateway.services.search.slot_view import SlotView

__all__ = ["ChangedPlaces"]


class ChangedPlaces:
    """
    Reads the claimed places anew and leaves them out of the view.

    Args:
        held: Which places are claimed.
        view: What searches look at.
    """

    def __init__(self, held: HeldTimeslots, view: SlotView) -> None:
        self._held = held
        self._view = view

    def show_changed_places(self) -> None:
        """Make what this process has just claimed or released show in its searches."""
        self._held.forget()
        self._view.leave_out()
