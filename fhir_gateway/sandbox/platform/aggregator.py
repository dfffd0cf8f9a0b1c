"""
The aggregating service of GetSubjectOfCareSchedule, with the manners of skltp/agp.

It asks the engagement index which units have a post of the resident, then all these
units side by side through the platform, and joins what they answer. Only the header
ProcessingStatus shows which units failed: the answer has HTTP status 200 and no fault,
also when all failed. It leaves out units that the consumer may not ask, without a
record. It removes no double and sorts nothing.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Any, Final, Protocol
from uuid import uuid4

import requests
import urllib3
from lxml import etree

from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.scheduling import GET_SUBJECT_OF_CARE_SCHEDULE
from fhir_gateway.model.timekeeping import Clock, civil_time_text
from fhir_gateway.rivta.envelope import (
    CONTENT_TYPE,
    Call,
    MalformedEnvelope,
    read_call,
    read_fault,
    read_request,
    write_request,
    write_response,
)
from fhir_gateway.rivta.limit import ANSWER
from fhir_gateway.rivta.processing_status import (
    ProcessingStatusRecord,
    StatusCode,
    SynchError,
)
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.get_subject_of_care_schedule import (
    CONTRACT,
    Request,
    Response,
)
from fhir_gateway.rivta.transport import Transport
from fhir_gateway.rivta.xml import UnreadableXml, parse
from fhir_gateway.sandbox.faulty_producer import FaultyProducer
from fhir_gateway.sandbox.platform.headers import (
    CORRELATION_ID,
    INSTANCE_ID,
    ORIGINAL_CONSUMER,
    SENDER_ID,
)
from fhir_gateway.sandbox.platform.options import PlatformOptions
from fhir_gateway.sandbox.platform.service_platform import NATIONAL_ADDRESSES
from fhir_gateway.sandbox.platform.spoiling import SPOILING, spoiled
from fhir_gateway.sandbox.producer import ProducerFault, platform_fault, server_fault
from fhir_gateway.sandbox.reply import Reply, fault_reply

__all__ = ["Aggregator", "IndexUnavailable", "Posts", "Route"]

_AGENT: Final = "virtualization_platform"  # in each error of skltp/agp
_TIMED_OUT: Final = SynchError(causing_agent=_AGENT, code="504", text="Read timed out")
_UNKNOWN: Final = SynchError(causing_agent=_AGENT, code="43000", text="Unknown error")
_MOST_AT_ONCE: Final = 100


class IndexUnavailable(Exception):
    """The engagement index did not answer."""


class Posts(Protocol):
    """The posts of the engagement index."""

    def addresses(self, subject_of_care: str) -> Sequence[str]:
        """
        Return the logical addresses with a post about a resident.

        Raises:
            IndexUnavailable: The index did not answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    How the service reaches the platform.

    Attributes:
        endpoint: Returns the platform's URL.
        instance_id: Proves that the service is behind the platform.
        options: Returns how platform and service behave now.
        is_open: Returns whether the consumer may ask an address for an interaction.
    """

    endpoint: Callable[[], str]
    instance_id: str
    options: Callable[[], PlatformOptions]
    is_open: Callable[[str, Interaction], bool]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Part:
    """What one unit answered: its times as they are, or its error."""

    items: tuple[bytes, ...] = ()
    error: SynchError | None = None
    at: str
    began: float


class Aggregator(FaultyProducer):
    """
    The service.

    Args:
        name: Its name in the sandbox's URLs.
        posts: The engagement index.
        route: How it reaches the platform.
        clock: The clock of its records.
        wait: Waits a number of seconds, less when the server stops.

    Attributes:
        interactions: Those that its fault rules may name.
        fault_kinds: The kinds of its fault rules.
    """

    interactions: Final = frozenset({GET_SUBJECT_OF_CARE_SCHEDULE})
    fault_kinds: Final = SPOILING

    def __init__(
        self,
        name: str,
        *,
        posts: Posts,
        route: Route,
        clock: Clock,
        wait: Callable[[float], None],
    ) -> None:
        super().__init__(
            name,
            by_action={CONTRACT.action: GET_SUBJECT_OF_CARE_SCHEDULE},
            wait=wait,
        )
        self._posts = posts
        self._route = route
        self._clock = clock
        self._transport = Transport()
        self._answers = 0
        self._last: dict[tuple[str, str], _Part] = {}

    def ledger_json(self) -> dict[str, Any]:
        """Return how many answers it gave."""
        with self._lock:
            return {"aggregator": self.name, "answers": self._answers}

    def answer(
        self,
        document: bytes,
        _soap_action: str,
        headers: Message,
    ) -> Reply | None:
        """Return the answer to a message, or None to reset the connection."""
        try:
            call = read_call(document)
        except (UnreadableXml, MalformedEnvelope):
            return fault_reply(server_fault("Meddelandet går inte att läsa"))

        def aggregated() -> Reply:
            try:
                return self._aggregated(call, headers)
            except ProducerFault as fault:
                return fault_reply(fault)

        rule = self.rules.take(GET_SUBJECT_OF_CARE_SCHEDULE, call.logical_address)
        if rule is None:
            return aggregated()
        return spoiled(rule, aggregated, self._wait)

    def _aggregated(self, call: Call, headers: Message) -> Reply:
        began = time.monotonic()
        for name in (SENDER_ID, ORIGINAL_CONSUMER, CORRELATION_ID):
            if not headers.get(name):
                raise server_fault(f"HTTP-huvudet {name} saknas")
        if call.action != CONTRACT.request_tag:
            raise platform_fault("VP004")
        try:
            request: Request = read_request(CONTRACT, call)
        except MalformedElement as error:
            raise server_fault(f"{error.element} går inte att läsa") from None
        options = self._route.options()
        number = request.subject_of_care
        addresses = self._addresses(number, options)
        cached = {
            address: part
            for address in addresses
            if (part := self._last.get((number, address))) is not None
            and began - part.began <= options.cached_for_s
        }
        asked = self._ask_all(
            [address for address in addresses if address not in cached],
            call,
            headers,
            began,
            options,
        )
        items: list[bytes] = []
        records = []
        for address in addresses:
            part = cached.get(address) or asked[address]
            last = self._last.get((number, address)) if options.keeps_last else None
            items.extend(
                part.items if part.error is None else last.items if last else ()
            )
            records.append(_record(address, part, last, is_cached=address in cached))
            if part.error is None:
                self._last[number, address] = part
        with self._lock:
            self._answers += 1
        return Reply(status=HTTPStatus.OK, body=_document(items, tuple(records)))

    def _addresses(self, number: str, options: PlatformOptions) -> list[str]:
        """Return the distinct addresses that the consumer may ask."""
        if options.index_fails:
            raise server_fault("Engagemangsindex svarar inte")
        try:
            found = self._posts.addresses(number)
        except IndexUnavailable:
            raise server_fault("Engagemangsindex svarar inte") from None
        return [
            address
            for address in dict.fromkeys(found)
            if address not in NATIONAL_ADDRESSES
            and address.upper() not in options.not_indexed
            and self._route.is_open(address, GET_SUBJECT_OF_CARE_SCHEDULE)
        ]

    def _ask_all(
        self,
        addresses: Sequence[str],
        call: Call,
        headers: Message,
        began: float,
        options: PlatformOptions,
    ) -> dict[str, _Part]:
        if not addresses:
            return {}
        executor = ThreadPoolExecutor(min(_MOST_AT_ONCE, len(addresses)))
        asking: dict[str, Future[_Part]] = {
            address: executor.submit(self._ask, address, call, headers, options)
            for address in addresses
        }
        left = options.total_timeout_s - (time.monotonic() - began)
        wait(asking.values(), max(0.0, left))
        executor.shutdown(wait=False, cancel_futures=True)
        present = civil_time_text(self._clock())
        return {
            address: (
                future.result()
                if future.done() and not future.cancelled()
                else _Part(error=_UNKNOWN, at=present, began=began)
            )
            for address, future in asking.items()
        }

    def _ask(
        self,
        address: str,
        call: Call,
        headers: Message,
        options: PlatformOptions,
    ) -> _Part:
        number = read_request(CONTRACT, call).subject_of_care
        document = write_request(
            CONTRACT,
            Request(healthcare_facility=address, subject_of_care=number),
            logical_address=LogicalAddress(address),
            actor=call.actor,
        )
        began = time.monotonic()
        error: SynchError | None = None
        items: tuple[bytes, ...] = ()
        try:
            reply = self._transport.post(
                self._route.endpoint(),
                document,
                {
                    "Content-Type": CONTENT_TYPE,
                    "SOAPAction": f'"{CONTRACT.action}"',
                    SENDER_ID: headers[SENDER_ID],
                    ORIGINAL_CONSUMER: headers[ORIGINAL_CONSUMER],
                    INSTANCE_ID: self._route.instance_id,
                    CORRELATION_ID: str(uuid4()),
                },
                timeout=options.producer_timeout_s,
                most_bytes=ANSWER.most_bytes,
            )
            items, error = _items(reply.status, reply.body)
        except requests.Timeout:
            error = _TIMED_OUT
        except (OSError, ValueError, urllib3.exceptions.HTTPError):
            error = SynchError(
                causing_agent=_AGENT, code="43000", text="Connection failed"
            )
        return _Part(
            items=items, error=error, at=civil_time_text(self._clock()), began=began
        )


def _items(status: int, body: bytes) -> tuple[tuple[bytes, ...], SynchError | None]:
    """Return the times of an answer, unread, or the error that it holds."""
    try:
        fault = read_fault(body)
        if fault is not None:
            return (), SynchError(
                causing_agent=_AGENT, code=str(status), text=fault.text
            )
        root = read_call(body).body
    except (UnreadableXml, MalformedEnvelope):
        return (), SynchError(
            causing_agent=_AGENT, code="43000", text="Svaret går inte att läsa"
        )
    return tuple(etree.tostring(child, with_tail=False) for child in root), None


def _record(
    address: str, part: _Part, last: _Part | None, *, is_cached: bool
) -> ProcessingStatusRecord:
    if part.error is None:
        code = StatusCode.DATA_FROM_CACHE if is_cached else StatusCode.DATA_FROM_SOURCE
        return ProcessingStatusRecord(
            logical_address=address,
            status_code=code.value,
            is_response_from_cache=is_cached,
            is_response_in_synch=True,
            last_successful_synch=part.at,
        )
    code = (
        StatusCode.NO_DATA_SYNCH_FAILED
        if last is None
        else StatusCode.DATA_FROM_CACHE_SYNCH_FAILED
    )
    return ProcessingStatusRecord(
        logical_address=address,
        status_code=code.value,
        is_response_from_cache=last is not None,
        is_response_in_synch=False,
        # skltp/agp leaves it out where it has none, although the schema requires it.
        last_successful_synch=None if last is None else last.at,
        last_unsuccessful_synch=part.at,
        last_unsuccessful_synch_error=part.error,
    )


def _document(
    items: Sequence[bytes], records: tuple[ProcessingStatusRecord, ...]
) -> bytes:
    """Return the answer: the units' times as they wrote them, and the records."""
    envelope = parse(write_response(CONTRACT, Response(), processing_status=records))
    envelope[-1][0].extend(parse(item) for item in items)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
