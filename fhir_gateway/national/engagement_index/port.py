"""
The port to the engagement index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Protocol

from fhir_gateway.model.engagement import Engagement, EngagementChange
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["EngagementIndex", "FoundPosts", "UpdateResult"]


class UpdateResult(Enum):
    """
    What the index did with all posts of a message: it takes all or none.

    ACCEPTED: it has them (`OK`, `INFO`).
    REFUSED: one or more breaks its rules (`ERROR`, or another code).
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FoundPosts:
    """
    What the index answered about a resident.

    Attributes:
        posts: The posts about bookings and invitations.
        unread: How many further posts could not be read.
    """

    posts: tuple[Engagement, ...]
    unread: int = 0


class EngagementIndex(Protocol):
    """
    The index of who has bookings where.

    A change that it receives again changes nothing.
    """

    def update(self, changes: Sequence[EngagementChange]) -> UpdateResult:
        """
        Hand over changed posts, at most 1,000, and return what the index did.

        Raises:
            Unavailable: The index could not be reached, or did not answer in time.
            SourceFault: It answered with a fault, or its answer cannot be read.
            Incorrect: The posts cannot be written; nothing was sent.
        """

    def find_content(
        self, resident: PersonalIdentityNumber, *, within: timedelta
    ) -> FoundPosts:
        """
        Return the posts about a resident.

        Args:
            resident: The resident.
            within: The longest time for the answer; the timeout of the options, where
                that is shorter.

        Raises:
            Unavailable: The index could not be reached, or did not answer in time.
            SourceFault: It answered with a fault, or its answer cannot be read.
        """

    def close(self) -> None:
        """Close what it has opened."""
