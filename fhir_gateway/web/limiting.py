"""
The limits of the present request's client.

`limit` runs before each view, once it is known who asks and that they may; what a view
then does counts on its own: a look that finds nothing, and calls of a live search.
"""

from contextlib import suppress
from typing import Final

from flask import Response, g, has_request_context, request

from fhir_gateway.access.limits import Limits, limited_as
from fhir_gateway.access.policy import Interaction
from fhir_gateway.model.errors import Category, LimitReached
from fhir_gateway.model.principal import Principal
from fhir_gateway.web.errors import STATUSES
from fhir_gateway.web.idempotency import IDEMPOTENCY_KEY
from fhir_gateway.web.peer import present_peer

__all__ = [
    "count_absent",
    "count_failed_look",
    "count_live_calls",
    "count_refused_token",
    "limit",
]

_OF_PERSONS: Final = frozenset({"Appointment", "AuditEvent"})
_WITHOUT_ID: Final = frozenset(
    {"$find", "create", "search-type", "$relations", "$relate"}
)
_CURSOR: Final = "_cursor"
_NOT_FOUND: Final = STATUSES[Category.NOT_FOUND]


def limit(limits: Limits, principal: Principal, interaction: Interaction) -> None:
    """
    Count the present request, before its view runs.

    Raises:
        LimitReached: Its client has used up a limit.
    """
    client = g.limited_as = limited_as(principal, present_peer().address)
    if interaction.type not in _OF_PERSONS:
        # The hot path.
        limits.admit(client, interaction)
        return
    # Operations name it in the URL or in the body, a page its predecessor's last one.
    names_one = g.names_one = (
        interaction.name not in _WITHOUT_ID or _CURSOR in request.args
    )
    has_key = IDEMPOTENCY_KEY in request.headers
    limits.admit(client, interaction, names_one=names_one, has_key=has_key)


def count_refused_token(limits: Limits) -> None:
    """
    Count the present request's token as a refused one.

    Raises:
        LimitReached: The peer has sent too many of them.
    """
    limits.count_refused_token(present_peer().address)


def count_failed_look(limits: Limits, response: Response) -> Response:
    """Count a request for an id that is not there; runs after each view."""
    if response.status_code == _NOT_FOUND and g.get("names_one", False):
        # The answer is made already; the next look is refused.
        with suppress(LimitReached):
            limits.count_failed_look(g.limited_as)
    return response


def count_absent(limits: Limits) -> None:
    """
    Count one id of a search that is not there for its client.

    Raises:
        LimitReached: The client has looked for too many.
    """
    limits.count_failed_look(g.get("limited_as"))


def count_live_calls(limits: Limits, calls: int) -> None:
    """
    Count calls to regions that the present search is about to make.

    Raises:
        LimitReached: Its client has used up its calls to regions.
    """
    if has_request_context():
        limits.count_region_calls(g.get("limited_as"), calls)
