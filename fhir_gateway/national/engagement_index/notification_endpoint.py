"""
The producer of ProcessNotification: reads what the index sends, and answers it.

A message that breaks a rule of the index is answered `ERROR` with the index's own code
for it, and nothing of it is stored: sent again, it would break the rule again. What is
no message of the contract is answered with a fault; so is a message that cannot be
stored now, which the index sends again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from fhir_gateway.model.engagement import MOST_POSTS, EngagementChange
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import HsaId
from fhir_gateway.national.engagement_index.mapping import change_from_transaction
from fhir_gateway.rivta.engagement_index_1_0.process_notification import (
    CONTRACT,
    Request,
    Response,
)
from fhir_gateway.rivta.envelope import (
    Call,
    MalformedEnvelope,
    read_call,
    read_request,
    write_fault,
    write_response,
)
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.limit import LIST
from fhir_gateway.rivta.namespace import is_of_family
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.wsdl import wsdl
from fhir_gateway.rivta.xml import UnreadableXml

__all__ = [
    "MOST_BYTES",
    "NotificationEndpoint",
    "SoapAnswer",
    "TakesNotifications",
    "soap_fault",
]

_log = structlog.get_logger()

MOST_BYTES: Final = LIST.most_bytes
"""The limit of a message: several times that of 1,000 posts."""

_CLIENT: Final = "soapenv:Client"
_SERVER: Final = "soapenv:Server"


class TakesNotifications(Protocol):
    """Takes the changed posts of a message, all or none."""

    def take(self, changes: Sequence[EngagementChange], *, unused: int) -> None:
        """
        Store changed posts.

        Raises:
            GatewayError: They cannot be stored now.
        """


@dataclass(frozen=True, slots=True, repr=False)
class SoapAnswer:
    """
    A document to answer with.

    Attributes:
        is_fault: It is a fault, of which SOAP 1.1 requires HTTP status 500.
    """

    body: bytes
    is_fault: bool = False


class _Refused(ValueError):
    """A message breaks a rule; the text begins with the index's code."""


class NotificationEndpoint:
    """
    Answers messages of ProcessNotification.

    Args:
        notifications: Stores what they say.
        notified_as: The logical address that they must have; None for any.
    """

    def __init__(
        self,
        notifications: TakesNotifications,
        *,
        notified_as: HsaId | None,
    ) -> None:
        self._notifications = notifications
        self._notified_as = notified_as

    def wsdl(self, address: str) -> bytes:
        """Return the WSDL, with the URL to post to."""
        return wsdl(CONTRACT, address)

    def answer(self, document: bytes, content_type: str | None = None) -> SoapAnswer:
        """Return the answer to a document."""
        try:
            call = read_call(document, content_type=content_type, limit=LIST)
        except (UnreadableXml, MalformedEnvelope) as error:
            return soap_fault(str(error))
        local = call.action.rpartition("}")[2]
        if local != CONTRACT.interaction.name or not is_of_family(
            call.action, CONTRACT.namespace
        ):
            return soap_fault("the body is no ProcessNotification")
        try:
            changes, unused = self._read(call)
            self._notifications.take(changes, unused=unused)
        except _Refused as error:
            return _result("ERROR", str(error))
        except GatewayError as error:
            _log.error("index notification not stored", error=error.log_text)
            return soap_fault(
                "the posts cannot be stored now; send them again", code=_SERVER
            )
        return _result("OK")

    def _read(self, call: Call) -> tuple[list[EngagementChange], int]:
        """
        Return the changed posts of a call, and how many are of no use here.

        Raises:
            _Refused: The message breaks a rule.
        """
        address = call.logical_address
        if self._notified_as is not None and (
            address is None or address.upper() != self._notified_as
        ):
            raise _Refused("EI003: the logical address is not that of this subscriber")
        try:
            request: Request = read_request(CONTRACT, call)
        except MalformedElement as error:
            raise _Refused(f"EI004: {error}") from error
        posts = request.transactions
        if not posts or len(posts) > MOST_POSTS:
            raise _Refused(
                f"EI000: the message has {len(posts)} posts, and may have 1 to"
                f" {MOST_POSTS}"
            )
        changes = [
            change
            for change in map(change_from_transaction, posts)
            if change is not None
        ]
        keys = Counter(change.engagement.key for change in changes)
        if len(keys) < len(changes):
            raise _Refused("EI002: two posts of the message have the same key")
        return changes, len(posts) - len(changes)


def soap_fault(text: str, *, code: str = _CLIENT) -> SoapAnswer:
    """Return a fault."""
    return SoapAnswer(write_fault(Fault(code=code, text=text)), is_fault=True)


def _result(code: str, comment: str | None = None) -> SoapAnswer:
    return SoapAnswer(
        write_response(CONTRACT, Response(result_code=code, comment=comment))
    )
