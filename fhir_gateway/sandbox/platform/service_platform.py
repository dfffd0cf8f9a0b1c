"""
The service platform: routes each call by its logical address and its contract.

Its faults and its HTTP headers are those of skltp/vp. It forwards a message over HTTP,
and returns the producer's answer, both unchanged.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import requests
import urllib3

from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import (
    CONTENT_TYPE,
    Call,
    MalformedEnvelope,
    read_call,
)
from fhir_gateway.rivta.limit import ANSWER
from fhir_gateway.rivta.transport import Transport
from fhir_gateway.rivta.xml import UnreadableXml
from fhir_gateway.sandbox.catalogue import SandboxRegion
from fhir_gateway.sandbox.faulty_producer import FaultyProducer
from fhir_gateway.sandbox.platform.headers import (
    CORRELATION_ID,
    INSTANCE_ID,
    ORIGINAL_CONSUMER,
    PRODUCER_RESPONSE_TIME,
    ROUTING_HISTORY,
    SENDER_ID,
)
from fhir_gateway.sandbox.platform.options import PlatformOptions
from fhir_gateway.sandbox.platform.spoiling import SPOILING, spoiled
from fhir_gateway.sandbox.producer import ProducerFault, platform_fault
from fhir_gateway.sandbox.reply import Reply, fault_reply

__all__ = ["NATIONAL_ADDRESSES", "ServicePlatform"]

NATIONAL_ADDRESSES: Final = ("5565594230", "SE165565594230-1000")
"""The logical addresses of the national services: Inera's number and its HSA-id."""

_ANYBODY: Final = "SE2321009900-NOBODY"
_MOST_CALLS: Final = 1_000


class ServicePlatform(FaultyProducer):
    """
    The platform.

    Args:
        name: Its name in the sandbox's URLs.
        regions: The regions that have the units.
        national: By contract, the name of the producer that answers at the national
            addresses.
        scheduling_contracts: The contracts of units.
        everywhere: Further contracts that each unit has, also by its address.
        endpoint: Returns the URL of a producer by its name.
        wait: Waits a number of seconds, less when the server stops.

    Attributes:
        interactions: Those that its fault rules may name.
        fault_kinds: The kinds of its fault rules.
        instance_id: Only it and the services behind it know it.
        options: How it behaves now.
    """

    fault_kinds: Final = SPOILING

    def __init__(
        self,
        name: str,
        *,
        regions: tuple[SandboxRegion, ...],
        national: Mapping[Contract[Any, Any], str],
        unit_contracts: Mapping[Interaction, Contract[Any, Any]],
        endpoint: Callable[[str], str],
        wait: Callable[[float], None],
    ) -> None:
        self._by_tag = {
            contract.request_tag: interaction
            for interaction, contract in unit_contracts.items()
        }
        self._interactions = self._by_tag | {
            contract.request_tag: contract.interaction for contract in national
        }
        super().__init__(
            name,
            by_action={
                tag[1:].replace("}", ":"): interaction
                for tag, interaction in self._interactions.items()
            },
            wait=wait,
        )
        self.instance_id = str(uuid4())
        self.options = PlatformOptions()
        self._endpoint = endpoint
        self._transport = Transport()
        self._calls: deque[dict[str, Any]] = deque(maxlen=_MOST_CALLS)
        self._national = {
            contract.request_tag: producer for contract, producer in national.items()
        }
        self.interactions = frozenset(self._interactions.values())
        self._units = {
            str(unit.hsa_id): str(region.name)
            for region in regions
            for unit in region.units
        }
        self._aggregated = {
            str(region.aggregated_address): str(region.name)
            for region in regions
            if region.aggregated_address is not None
        }

    @property
    def units(self) -> tuple[str, ...]:
        """Return the logical addresses of all units, and of regions' own services."""
        return (*self._units, *self._aggregated)

    def routes(self, address: str, interaction: Interaction) -> bool:
        """Return whether there is a route, and consumers are authorised for it."""
        return self._region(address, interaction) is not None and self.options.may_ask(
            address
        )

    def ledger_json(self) -> dict[str, Any]:
        """Return the last calls: what was routed where, and the status."""
        with self._lock:
            return {"platform": self.name, "calls": list(self._calls)}

    def answer(
        self, document: bytes, soap_action: str, headers: Message
    ) -> Reply | None:
        """Return the answer to a message, or None to reset the connection."""
        correlation_id = headers.get(CORRELATION_ID) or str(uuid4())
        try:
            call = read_call(document)
        except (UnreadableXml, MalformedEnvelope):
            return _with(
                fault_reply(platform_fault("VP015")), CORRELATION_ID, correlation_id
            )

        def routed() -> Reply:
            return self._routed(call, document, soap_action, headers, correlation_id)

        interaction = self._interactions.get(call.action)
        rule = self.rules.take(interaction, call.logical_address)
        reply = routed() if rule is None else spoiled(rule, routed, self._wait)
        with self._lock:
            self._calls.append(
                {
                    "interaction": None if interaction is None else interaction.name,
                    "logical_address": call.logical_address,
                    "consumer": headers.get(ORIGINAL_CONSUMER),
                    "status": None if reply is None else reply.status,
                }
            )
        return None if reply is None else _with(reply, CORRELATION_ID, correlation_id)

    def _routed(
        self,
        call: Call,
        document: bytes,
        soap_action: str,
        headers: Message,
        correlation_id: str,
    ) -> Reply:
        try:
            producer = self._producer(call, headers)
            sender = headers.get(SENDER_ID) or headers.get(ORIGINAL_CONSUMER)
            forwarded = {
                "Content-Type": CONTENT_TYPE,
                "SOAPAction": soap_action,
                "User-Agent": "fhir-gateway-sandbox platform",
                CORRELATION_ID: correlation_id,
                ORIGINAL_CONSUMER: headers.get(ORIGINAL_CONSUMER) or sender or _ANYBODY,
                SENDER_ID: sender or _ANYBODY,
                INSTANCE_ID: self.instance_id,
                ROUTING_HISTORY: self._history(headers),
            }
            return self._forward(producer, document, forwarded)
        except ProducerFault as fault:
            return fault_reply(fault)

    def _producer(self, call: Call, headers: Message) -> str:
        """
        Return the name of the producer that a call is for.

        Raises:
            ProducerFault: There is none, or the consumer may not ask it.
        """
        if headers.get(SENDER_ID) and headers.get(INSTANCE_ID) != self.instance_id:
            raise platform_fault("VP011")
        if self.instance_id in headers.get(ROUTING_HISTORY, "").split("#"):
            raise platform_fault("VP014")
        address = call.logical_address
        if address is None:
            raise platform_fault("VP003")
        if address in NATIONAL_ADDRESSES and call.action in self._national:
            return self._national[call.action]
        interaction = self._by_tag.get(call.action)
        region = None if interaction is None else self._region(address, interaction)
        if region is None:
            raise platform_fault("VP004")
        if not self.options.may_ask(address):
            raise platform_fault("VP007")
        return region

    def _region(self, address: str, interaction: Interaction) -> str | None:
        if not self.options.supports(address, interaction):
            return None
        if interaction == scheduling.GET_SUBJECT_OF_CARE_SCHEDULE:
            region = self._aggregated.get(address.upper())
            if region is not None:
                return region
        return self._units.get(address.upper())

    def _history(self, headers: Message) -> str:
        passed = headers.get(ROUTING_HISTORY)
        return f"{passed}#{self.instance_id}" if passed else self.instance_id

    def _forward(
        self, producer: str, document: bytes, headers: Mapping[str, str]
    ) -> Reply:
        """
        Return a producer's answer, unchanged.

        Raises:
            ProducerFault: VP009; the producer gave no answer with a body.
        """
        began = time.perf_counter()
        try:
            reply = self._transport.post(
                self._endpoint(producer),
                document,
                headers,
                timeout=self.options.platform_timeout_s,
                most_bytes=ANSWER.most_bytes,
            )
        except requests.Timeout:
            raise platform_fault("VP009", "Read timed out") from None
        except (OSError, ValueError, urllib3.exceptions.HTTPError):
            raise platform_fault("VP009") from None
        if not reply.body:
            raise platform_fault("VP009", "tomt svar")
        if reply.status not in (HTTPStatus.OK, HTTPStatus.INTERNAL_SERVER_ERROR):
            raise platform_fault("VP009", f"HTTP {reply.status}")
        milliseconds = round(1_000 * (time.perf_counter() - began))
        return Reply(
            status=reply.status,
            body=reply.body,
            headers=((PRODUCER_RESPONSE_TIME, str(milliseconds)),),
        )


def _with(reply: Reply, name: str, value: str) -> Reply:
    return Reply(
        status=reply.status,
        body=reply.body,
        interim=reply.interim,
        is_repeated=reply.is_repeated,
        pause_s=reply.pause_s,
        headers=(*reply.headers, (name, value)),
    )
