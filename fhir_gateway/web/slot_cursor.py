"""
The place where a page of slots ends, in the `next` link.
"""

from dataclasses import dataclass
from typing import Self

from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.search.first_times import ShownUnits
from fhir_gateway.services.search.search_page import SlotPage
from fhir_gateway.web.searching import cursor_text, text_of_cursor

__all__ = ["SlotCursor", "cursor_behind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotCursor:
    """
    Where a page ends.

    Attributes:
        after: Its last slot.
        shown: The units that it and the pages before have shown, where each unit is
            shown once.
    """

    after: TimeslotToken
    shown: ShownUnits | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the place in a `next` link.

        Raises:
            ValueError: The text is not from a `next` link of this server.
        """
        after, dot, shown = text.partition(".")
        return cls(
            after=TimeslotToken.parse(text_of_cursor(after)),
            shown=ShownUnits.parse(shown) if dot else None,
        )


def cursor_behind(page: SlotPage) -> str | None:
    """Return the cursor of the next page; None for the last page."""
    if page.next_after is None:
        return None
    after = cursor_text(page.next_after.text)
    if page.next_shown is None:
        return after
    return f"{after}.{page.next_shown.text}"
