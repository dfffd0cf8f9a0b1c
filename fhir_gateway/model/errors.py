"""
Errors of the domain, free of HTTP.

    GatewayError
    ├── Incorrect          the request asks for something impossible
    ├── Unauthenticated    the request has no valid token
    ├── NotPermitted       the token's role or scopes do not permit the interaction
    ├── NotFound           this server does not know it
    ├── Unsupported        that source's contract cannot express it
    ├── Forbidden          the booking does not permit it
    ├── Conflict           the state has changed
    │   ├── Stale          the client's version is not the current one
    │   └── TimeslotTaken  somebody else has the time
    │       └── TimeslotRefused  and the region said so in its own text
    ├── Refused            the region refused, with its own text
    ├── LimitReached       the client, or the resident, has used up a limit
    ├── Busy               too many requests at once; try again
    ├── Unavailable        the source could not be reached; nothing was sent
    ├── SourceFault        the source answered with a technical fault
    │   └── MalformedAnswer  the source's answer cannot be read
    └── WriteUnconfirmed   the write was sent; its outcome is unknown

`web/errors.py` alone knows status codes, `fhir/outcome.py` alone knows issue codes and
the error code of an error without one of its own. No message here ever holds a personal
number, a name or a free text of a resident.
"""

from datetime import timedelta
from enum import Enum
from typing import ClassVar

from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.ids import SourceName

__all__ = [
    "Busy",
    "Category",
    "Conflict",
    "Forbidden",
    "GatewayError",
    "Incorrect",
    "LimitReached",
    "MalformedAnswer",
    "NotFound",
    "NotPermitted",
    "Party",
    "Refused",
    "SourceFault",
    "Stale",
    "TimeslotRefused",
    "TimeslotTaken",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "WriteUnconfirmed",
]


class Category(Enum):
    """The kind of failure: each has one status code and one issue code."""

    INCORRECT = "incorrect"
    UNAUTHENTICATED = "unauthenticated"
    NOT_PERMITTED = "not-permitted"
    NOT_FOUND = "not-found"
    UNSUPPORTED = "unsupported"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    STALE = "stale"
    TAKEN = "taken"
    REFUSED = "refused"
    LIMITED = "limited"
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
    An error that this server reports to a client.

    Args:
        message: One sentence that a client developer can act on.
        source: The source that was asked, where one was.
        interaction: The contract's name of the interaction.
        party: Who caused it, where that differs from the class's own party.
        error_code: A more exact error code than that of the category and the party,
            where one is known.

    Attributes:
        quotes_region: `message` is the region's own text for the resident, and not this
            server's for the client's developer; but for `UNEXPLAINED`.
        detail: Why the connection failed, or the source's own text without personal
            numbers: for an operator who checks a source, never for a log or a client.
    """

    category: ClassVar[Category] = Category.FAULT
    quotes_region: ClassVar[bool] = False
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
        """Return its text for a log, for the operator of the server."""
        return str(self)


class Incorrect(GatewayError):
    """The request asks for something impossible."""

    category = Category.INCORRECT
    default_party = Party.CLIENT


class Unauthenticated(GatewayError):
    """
    The request has no valid token.

    Args:
        is_without_token: It has none at all (RFC 6750, 3.1: then no error code).
    """

    category = Category.UNAUTHENTICATED
    default_party = Party.CLIENT

    def __init__(self, message: str, *, is_without_token: bool = False) -> None:
        super().__init__(
            message,
            error_code=ErrorCode.ACCESS_TOKEN_IS_MISSING if is_without_token else None,
        )
        self.is_without_token = is_without_token


class NotPermitted(GatewayError):
    """
    The token's role, purpose or scopes do not permit the interaction.

    It depends on the interaction alone, never on what is stored here.

    Args:
        scope: The SMART scope that would permit it, where one would.
    """

    category = Category.NOT_PERMITTED
    default_party = Party.CLIENT

    def __init__(self, message: str, *, scope: str | None = None) -> None:
        super().__init__(message)
        self.scope = scope


class NotFound(GatewayError):
    """This server does not know it."""

    category = Category.NOT_FOUND
    default_party = Party.CLIENT


class Unsupported(GatewayError):
    """That source's contract cannot express it."""

    category = Category.UNSUPPORTED
    default_party = Party.REGION


class Forbidden(GatewayError):
    """The booking does not permit it; nothing was sent."""

    category = Category.FORBIDDEN
    default_party = Party.REGION


class Conflict(GatewayError):
    """The state has changed since the client read it."""

    category = Category.CONFLICT
    default_party = Party.CLIENT


class Stale(Conflict):
    """
    The client's version of a resource is not the current one; nothing was changed.
    """

    category = Category.STALE


class TimeslotTaken(Conflict):
    """Somebody else has the time, or the source no longer lists it."""

    category = Category.TAKEN
    default_party = Party.REGION


class TimeslotRefused(TimeslotTaken):
    """The region refused, and no longer lists the time; `message` as of `Refused`."""

    quotes_region = True


class Refused(GatewayError):
    """
    The region refused (`resultCode` ERROR).

    `message` is the region's own text, which the contract requires clients to show; it
    is `UNEXPLAINED` where the region gives none.
    """

    category = Category.REFUSED
    quotes_region = True
    UNEXPLAINED: ClassVar[str] = "The region refused the request."
    default_party = Party.REGION


class LimitReached(GatewayError):
    """
    The client, or the resident, has used up a limit; nothing was done.

    Args:
        retry_after: In how long the same request may succeed.
    """

    category = Category.LIMITED
    default_party = Party.CLIENT

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta = timedelta(minutes=1),
        source: SourceName | None = None,
        interaction: str | None = None,
        party: Party | None = None,
    ) -> None:
        super().__init__(message, source=source, interaction=interaction, party=party)
        self.retry_after = retry_after


class Busy(GatewayError):
    """There are too many requests at once; the same request may succeed later."""

    category = Category.BUSY


class Unavailable(GatewayError):
    """The source could not be reached; nothing was sent to it."""

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
    The source's answer cannot be read.

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


class WriteUnconfirmed(GatewayError):
    """
    A write was sent and its outcome is unknown: look it up, never send it again.

    Args:
        is_answered: The source has answered, without a certain outcome. So nothing of
            this write is under way any more, and its outcome can be looked up at once.
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
