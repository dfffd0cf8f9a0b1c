"""
Calls a producer: one SOAP call over `requests`.

This is the only module that translates failures of HTTP, SOAP and the platform into
the program's own errors. A read that fails could not be asked. A write that fails has
certainly done nothing in one case only: the connection was never made. In every other
case its outcome is unknown, also after a fault: the platform repeats a call when it
loses the answer, so the fault may answer the second attempt while the first was carried
out. This module never repeats a write.

It accepts an answer under HTTP 200 only (WS-I Basic Profile 1.1, R1111 and R1124), and
a fault under 200 and under every 4xx and 5xx (SOAP 1.1, section 6.2, requires 500).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, Final, TypeVar
from uuid import uuid4

import requests
import urllib3

from fhir_gateway.model.errors import (
    GatewayError,
    Incorrect,
    MalformedAnswer,
    Party,
    SourceFault,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.interaction import Actor, ActorType, Interaction
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import (
    CONTENT_TYPE,
    ContractAnswer,
    MalformedEnvelope,
    differences,
    read_fault,
    read_response,
    write_request,
)
from fhir_gateway.rivta.failure import kind_of, reason_of, was_never_sent
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.limit import PERSONAL, Limit
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.transport import (
    Reply,
    Transport,
)
from fhir_gateway.rivta.xml import UnreadableXml

__all__ = ["FaultedWrite", "SoapClient"]

Req = TypeVar("Req")
Res = TypeVar("Res")

Differs = Callable[[Interaction, str], None]

_PLACEHOLDER: Final = "{interaction}"


class SoapClient:
    """
    One producer's endpoint.

    Args:
        source: The name of the producer in errors.
        endpoint: Its URL; the contract's name replaces `{interaction}` in it.
        consumer: Our HSA-id, for `x-rivta-original-serviceconsumer-hsaid`.
        transport: Posts the documents.
    """

    def __init__(
        self,
        *,
        source: SourceName,
        endpoint: str,
        consumer: HsaId | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._source = source
        self._endpoint = endpoint
        self._consumer = consumer
        self._transport = transport or Transport()
        self._differs: Differs | None = None

    def watch(self, differs: Differs) -> None:
        """Report from now on each difference of an answer from its contract."""
        self._differs = differs

    def call(
        self,
        contract: Contract[Req, Res],
        request: Req,
        *,
        logical_address: LogicalAddress,
        actor: Actor | None,
        timeout: float,
    ) -> ContractAnswer:
        """
        Send a request once and return the answer; a fault is raised.

        Args:
            contract: The contract to call.
            request: The body.
            logical_address: The address by which the platform routes it.
            actor: Who asks; None where the contract has no header `Actor`.
            timeout: The longest time for the whole call, in seconds.

        Raises:
            Incorrect: The request cannot be written; nothing was sent.
            Unavailable: The producer could not be asked; of a write nothing reached it.
            SourceFault: The producer answered a read with a fault.
            MalformedAnswer: The answer to a read cannot be read.
            WriteUnconfirmed: The write was sent; its outcome is unknown.
        """
        exchange = _Exchange(self._source, contract)
        try:
            document = write_request(
                contract, request, logical_address=logical_address, actor=actor
            )
        except MalformedElement as error:
            raise exchange.incorrect_error(error) from error
        if timeout <= 0:
            raise exchange.too_late_error()
        limit = _limit(contract, actor)
        with exchange.translate_errors():
            reply = self._post(contract, document, timeout, limit, actor)
        answer = exchange.answer(reply, limit)
        if self._differs is not None:
            for difference in differences(
                contract, reply.body, content_type=reply.content_type, limit=limit
            ):
                self._differs(contract.interaction, difference)
        return answer

    def _post(
        self,
        contract: Contract[Any, Any],
        document: bytes,
        timeout: float,
        limit: Limit,
        actor: Actor | None,
    ) -> Reply:
        headers = {
            "Content-Type": CONTENT_TYPE,
            "SOAPAction": f'"{contract.action}"',
            "x-skltp-correlation-id": str(uuid4()),
        }
        if self._consumer:
            headers["x-rivta-original-serviceconsumer-hsaid"] = self._consumer
        if actor is not None and actor.on_behalf_of is not None:
            headers["x-rivta-acting-on-behalf-of-hsaid"] = actor.on_behalf_of
        return self._transport.post(
            self._endpoint.replace(_PLACEHOLDER, contract.interaction.name),
            document,
            headers,
            timeout=timeout,
            most_bytes=limit.most_bytes,
        )


class _Exchange:
    """One call: returns its answer, or the error that a failure means for it."""

    def __init__(self, source: SourceName, contract: Contract[Any, Any]) -> None:
        self._source = source
        self._contract = contract
        self._interaction = contract.interaction.name
        self.is_write = contract.interaction.writes

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Translate the exceptions of `requests` into our errors."""
        try:
            yield
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            # `requests` raises OSErrors, and lets some others through: a chunk of
            # negative length is a ValueError, raised after the message was sent.
            failure = self._transport_error(error)
            failure.detail = reason_of(error)
            failure.add_note(kind_of(error))
            raise failure from None

    def answer(self, reply: Reply, limit: Limit) -> ContractAnswer:
        """Return the answer that a reply holds; a fault is raised."""
        if reply.status != HTTPStatus.OK:
            raise self._status_error(reply)
        try:
            answer = read_response(
                self._contract,
                reply.body,
                content_type=reply.content_type,
                limit=limit,
            )
        except MalformedElement as error:
            raise self._malformed_error(str(error), error.element) from error
        except (UnreadableXml, MalformedEnvelope) as error:
            raise self._malformed_error(str(error), "Envelope") from error
        if isinstance(answer.response, Fault):
            raise self._fault_error(answer.response)
        return answer

    def incorrect_error(self, error: MalformedElement) -> Incorrect:
        """Return the error for a request that cannot be written."""
        return Incorrect(
            f"The request cannot be sent: {error}.",
            source=self._source,
            interaction=self._interaction,
        )

    def too_late_error(self) -> Unavailable:
        """Return the error for a call that has no time left."""
        return self._unavailable_error("was not asked: no time was left")

    def _transport_error(self, error: Exception) -> GatewayError:
        if was_never_sent(error):
            return self._unavailable_error("could not be reached; nothing was sent")
        if self.is_write:
            return self._unconfirmed_error("was sent a write and gave no answer")
        if _is_timeout(error):
            return self._unavailable_error("did not answer in time")
        return self._unavailable_error("broke off its answer")

    def _status_error(self, reply: Reply) -> GatewayError:
        """Return the error for an answer with another status than 200."""
        fault = None
        if reply.status >= HTTPStatus.BAD_REQUEST:
            with suppress(UnreadableXml, MalformedEnvelope):
                fault = read_fault(reply.body, content_type=reply.content_type)
        if fault is not None:
            return self._fault_error(fault)
        if self.is_write:
            return self._unconfirmed_error(
                f"answered a write with HTTP status {reply.status}", is_answered=True
            )
        return SourceFault(
            f"The source answered with HTTP status {reply.status}.",
            source=self._source,
            interaction=self._interaction,
        )

    def _fault_error(self, fault: Fault) -> GatewayError:
        code = fault.platform_code
        party = Party.PLATFORM if code else Party.REGION
        if self.is_write:
            return FaultedWrite(
                f"The source answered a write with a fault ({code or 'its own'}).",
                fault=fault,
                source=self._source,
                interaction=self._interaction,
                party=party,
            )
        failure = SourceFault(
            f"The source answered with a technical fault ({code or 'its own'}).",
            source=self._source,
            interaction=self._interaction,
            party=party,
            code=code,
        )
        failure.detail = fault.masked_text
        return failure

    def _malformed_error(self, reason: str, element: str) -> GatewayError:
        if self.is_write:
            return self._unconfirmed_error(
                f"answered a write unreadably: {reason}", is_answered=True
            )
        return MalformedAnswer(
            f"The source's answer cannot be read: {reason}.",
            element=element,
            source=self._source,
            interaction=self._interaction,
        )

    def _unavailable_error(self, what: str) -> Unavailable:
        return Unavailable(
            f"The source {what}.", source=self._source, interaction=self._interaction
        )

    def _unconfirmed_error(
        self, what: str, *, is_answered: bool = False
    ) -> WriteUnconfirmed:
        return WriteUnconfirmed(
            f"The source {what}.",
            source=self._source,
            interaction=self._interaction,
            is_answered=is_answered,
        )


class FaultedWrite(WriteUnconfirmed):
    """The producer answered a write with a fault; an adapter may know its meaning."""

    def __init__(
        self,
        message: str,
        *,
        fault: Fault,
        source: SourceName,
        interaction: str,
        party: Party,
    ) -> None:
        super().__init__(
            message,
            source=source,
            interaction=interaction,
            party=party,
            is_answered=True,
        )
        self.fault = fault


def _limit(contract: Contract[Any, Any], actor: Actor | None) -> Limit:
    """Return the size limit of an answer."""
    is_resident = actor is not None and actor.type is ActorType.SUBJECT_OF_CARE
    if is_resident or contract.interaction.writes:
        return PERSONAL
    return contract.limit


def _is_timeout(error: Exception) -> bool:
    # A timeout while the body is read is an exception of urllib3.
    return isinstance(
        error, requests.exceptions.Timeout | urllib3.exceptions.ReadTimeoutError
    )
