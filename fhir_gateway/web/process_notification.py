"""
Notifications of the engagement index, over SOAP (itintegration:engagementindex 1.0).
"""

from typing import Final

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound, UnsupportedMediaType

from fhir_gateway.access.policy import NOTIFY, Interaction
from fhir_gateway.national.engagement_index import MOST_BYTES, NotificationEndpoint
from fhir_gateway.rivta.envelope import CONTENT_TYPE
from fhir_gateway.web.errors import soap_response
from fhir_gateway.web.exchange import FHIR_PREFIX
from fhir_gateway.web.resource import Handling

__all__ = ["NOTIFICATION_HANDLING", "NOTIFICATION_PATH", "add_process_notification"]

NOTIFICATION_PATH: Final = "/rivta/engagementindex/ProcessNotification/1"
NOTIFICATION_HANDLING: Final = Handling(may_wait=True, most_bytes=MOST_BYTES)

_ENDPOINT: Final = "ProcessNotification"
_WSDL: Final = "wsdl"
_TYPES: Final = frozenset({"text/xml", "application/xml"})


def add_process_notification(
    app: Flask, endpoint: NotificationEndpoint, base_url: str
) -> dict[str, Interaction]:
    """
    Add the routes: POST takes a notification, GET with `?wsdl` gives the WSDL.

    Args:
        app: The application.
        endpoint: Answers the messages.
        base_url: The FHIR base that clients use; the address in the WSDL is beside it.

    Returns:
        The interaction of each endpoint that is not open to everybody.
    """
    address = f"{base_url.removesuffix(FHIR_PREFIX)}{NOTIFICATION_PATH}"
    app.add_url_rule(
        NOTIFICATION_PATH, _ENDPOINT, lambda: _answer(endpoint), methods=["POST"]
    )
    app.add_url_rule(
        NOTIFICATION_PATH,
        f"{_ENDPOINT}.wsdl",
        lambda: _describe(endpoint, address),
        methods=["GET"],
    )
    return {_ENDPOINT: NOTIFY}


def _answer(endpoint: NotificationEndpoint) -> Response:
    content_type = request.headers.get("Content-Type", "")
    if request.mimetype not in _TYPES:
        raise UnsupportedMediaType
    return soap_response(endpoint.answer(request.get_data(), content_type))


def _describe(endpoint: NotificationEndpoint, address: str) -> Response:
    if request.query_string.lower() != _WSDL.encode():
        raise NotFound
    return Response(endpoint.wsdl(address), content_type=CONTENT_TYPE)
