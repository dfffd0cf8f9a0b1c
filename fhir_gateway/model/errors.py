"""
What can go wrong, in words without HTTP.

    GatewayError
    ├── Incorrect              the request says something impossible
    ├── NotFound               there is no such thing here
    ├── Unsupported            it cannot be said to that source
    ├── Forbidden              the booking does not permit it
    ├── Conflict               the state of things has moved on
    │   ├── Stale              the client's version is not the present one
    │   └── TimeslotTaken      somebody else has the time
    ├── Refused                the region said no, in its own words
    ├── Busy                   too much at once; try again
    ├── Unavailable            could not be asked; nothing was sent
    ├── SourceFault            the source answered with a technical fault
    │   └── MalformedAnswer    the source answered something that cannot be read
    └── BookingUnconfirmed     sent, but nobody knows whether it was done

`web/errors.py` alone knows status codes, `fhir/outcome.py` alone knows issue codes and
which error code is told when an error has none of its own.
No message here ever holds a personal number, a name or a free text of a resident.
"""

from enum import Enum
from typing import ClassVar

from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.ids import SourceName

__all__ = [
    "BookingUnconfirmed",
    "Busy",
    "Category",
    "Conflict",
    "Forbidden",
    "GatewayError",
    "Incorrect",
    "MalformedAnswer",
    "NotFound",
    "Party",
    "Refused",
    "SourceFault",
    "Stale",
    "TimeslotTaken",
    "Unavailable",
    "Unsupported",
]


class Category(Enum):
    """The kind of failure: each has one status code and one issue code."""

    INCORRECT = "incorrect"
    NOT_FOUND = "not-found"
    UNSUPPORTED = "unsupported"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    STALE = "stale"
    TAKEN = "taken"
    REFUSED = "refused"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"
    UNCONFIRMED = "unconfirmed"


class Party(Enum):
    """Who caused a failure."""

    CLIENT = "client"
    GATEWAY = "gateway"
    PLATFORM = "platform"
    REGION = "region"


class GatewayError(Exception):
    """
    Anything that went wrong and that a client is told of.

    Args:
        message: One sentence that a client developer can act on.
        source: The source that was asked, where one was.
        interaction: The contract's name of what it was asked.
        party: Who caused it, where that is known better than by the class.
        error_code: What exactly went wrong, where that is known better than by the
            category and the party.

    Attributes:
        detail: Why the connection failed, or the source's own words without personal
            numbers: for an operator who checks a source, never for a log or a client.
    """

    category: ClassVar[Category] = Category.FAULT
    default_party: ClassVar[Party] = Party.GATEWAY
    default_error_code: ClassVar[ErrorCode | None] = None

    def __init__(
        self,
        message: str,
        *,
        source: SourceName | None = None,
        interaction: str | None = None,
        party: Party | None = None,
        error_code: ErrorCode | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.interaction = interaction
        self.party = party or self.default_party
        self.error_code = error_code
        self.detail: str | None = None

    @property
    def for_operator(self) -> str:
        """Return the message with its detail."""
        return f"{self} [{self.detail}]" if self.detail else str(self)

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in (
                f"source {self.source}" if self.source else "",
                self.interaction or "",
            )
            if part
        )
        return f"{self.message} ({where})" if where else self.message

    @property
    def log_text(self) -> str:
        """Return what a log says of it, for who runs the server."""
        return str(self)


class Incorrect(GatewayError):
    """The request says something impossible."""

    category = Category.INCORRECT
    default_party = Party.CLIENT


class NotFound(GatewayError):
    """There is no such thing here."""

    category = Category.NOT_FOUND
    default_party = Party.CLIENT


class Unsupported(GatewayError):
    """It cannot be said to that source."""

    category = Category.UNSUPPORTED
    default_party = Party.REGION


class Forbidden(GatewayError):
    """The booking does not permit it; nothing was sent."""

    category = Category.FORBIDDEN
    default_party = Party.REGION


class Conflict(GatewayError):
    """The state of things has moved on since the client looked."""

    category = Category.CONFLICT
    default_party = Party.CLIENT


class Stale(Conflict):
    """The client's version of a thing is not the present one; nothing was changed."""

    category = Category.STALE


class TimeslotTaken(Conflict):
    """Somebody else has the time, or the source no longer lists it."""

    category = Category.TAKEN
    default_party = Party.REGION


class Refused(GatewayError):
    """
    The region said no (`resultCode` ERROR).

    `message` is the region's own text, which the contract says must be shown.
    """

    category = Category.REFUSED
    default_party = Party.REGION


class Busy(GatewayError):
    """Too much at once; the same request may succeed later."""

    category = Category.BUSY


class Unavailable(GatewayError):
    """The source could not be asked; nothing reached it."""

    category = Category.UNAVAILABLE
    default_party = Party.REGION


class SourceFault(GatewayError):
    """
    The source answered with a technical fault.

    Args:
        code: The platform's code, as `VP009`, where the fault carries one.
    """

    category = Category.UNAVAILABLE
    default_party = Party.REGION

    def __init__(
        self,
        message: str,
        *,
        source: SourceName | None = None,
        interaction: str | None = None,
        party: Party | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, source=source, interaction=interaction, party=party)
        self.code = code


class MalformedAnswer(SourceFault):
    """
    The source answered something that cannot be read.

    Args:
        element: The element that is missing or impossible.
    """

    def __init__(
        self,
        message: str,
        *,
        element: str,
        source: SourceName | None = None,
        interaction: str | None = None,
    ) -> None:
        super().__init__(message, source=source, interaction=interaction)
        self.element = element


class BookingUnconfirmed(GatewayError):
    """
    A write was sent and its outcome is unknown: look it up, never send it again.

    Args:
        is_answered: An answer has come, one that says nothing certain. So nothing of
            this write is under way any more, and its source can be looked at at once.
    """

    category = Category.UNCONFIRMED
    default_party = Party.REGION

    def __init__(
        self,
        message: str,
        *,
        source: SourceName | None = None,
        interaction: str | None = None,
        party: Party | None = None,
        is_answered: bool = False,
    ) -> None:
        super().__init__(message, source=source, interaction=interaction, party=party)
        self.is_answered = is_answered
