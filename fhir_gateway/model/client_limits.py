"""
How much one client and one resident may ask of this server.

The defaults here are the only place of these numbers; settings replace them, and
docs/configuration.md says what each is for.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_LIMITS", "ClientLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """
    The limits; each is at least 1.

    Those of a minute and of an hour are rates, counted in Redis; the others, and the
    holds of an hour, are counted in SQL.

    Attributes:
        searches: Requests of a client for open data, in a minute.
        region_calls: Calls to regions that a client causes, in a minute.
        failed_looks: Requests of a client for an appointment that is not there, or
            with a token that is refused, in an hour.
        request_keys: Request keys that a client sends, in an hour.
        holds: Times that a client holds at once.
        holds_an_hour: Times that a client holds in an hour; each renewal counts too.
        resident_holds: Times that are held for one resident at once.
        resident_bookings: Bookings made here for one resident that have not begun.
    """

    searches: int = 3000
    region_calls: int = 300
    failed_looks: int = 120
    request_keys: int = 6000
    holds: int = 100
    holds_an_hour: int = 600
    resident_holds: int = 2
    resident_bookings: int = 30


DEFAULT_LIMITS: Final = ClientLimits()
