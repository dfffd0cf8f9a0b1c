"""
One simulated region: its booking system, its ledger and its fault rules.

The work of a call, its fault and its row in the ledger depend on each other. They stand
in one module, which therefore has over 400 lines.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email.message import Message
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from fhir_gateway.model import scheduling
from fhir_gateway.model.booking import ResultCode
from fhir_gateway.model.engagement import SERVICE_DOMAIN
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.timekeeping import Clock, civil_time_text, epoch_seconds
from fhir_gateway.rivta.engagement_index_1_0.types import EngagementType
from fhir_gateway.rivta.envelope import (
    Call,
    MalformedEnvelope,
    read_call,
    read_request,
    write_response,
)
from fhir_gateway.rivta.monitoring_1_0 import ping_for_configuration as ping
from fhir_gateway.rivta.processing_status import (
    ProcessingStatusRecord,
    StatusCode,
    SynchError,
)
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.contracts import CONTRACTS
from fhir_gateway.rivta.xml import UnreadableXml
from fhir_gateway.sandbox.agenda import Agenda
from fhir_gateway.sandbox.book import Book, Party, Refused
from fhir_gateway.sandbox.catalogue import SandboxRegion, SandboxUnit, Style
from fhir_gateway.sandbox.exact import ExactProducer
from fhir_gateway.sandbox.fault_rule import FaultKind, FaultRule
from fhir_gateway.sandbox.faulty_producer import FaultyProducer
from fhir_gateway.sandbox.invitation_order import InvitationOrder
from fhir_gateway.sandbox.ledger import Ledger, LedgerTime, Write, booking_json
from fhir_gateway.sandbox.producer import (
    Outcome,
    Producer,
    ProducerFault,
    ping_response,
    platform_fault,
)
from fhir_gateway.sandbox.reply import CARRIED, Reply, carried, fault_reply
from fhir_gateway.sandbox.schedulr import SchedulrProducer
from fhir_gateway.sandbox.takecare import TakeCareProducer

__all__ = ["Region"]

_PRODUCERS: Final = {
    Style.EXACT: ExactProducer,
    Style.TAKECARE: TakeCareProducer,
    Style.SCHEDULR: SchedulrProducer,
}
_BY_TAG: Final = {
    contract.request_tag: interaction for interaction, contract in CONTRACTS.items()
}
_BY_ACTION: Final = {
    contract.action: interaction for interaction, contract in CONTRACTS.items()
}

_DROPPED_BEFORE: Final = "DROPPED-BEFORE-PROCESSING"
_DROPPED_AFTER: Final = "DROPPED-AFTER-PROCESSING"
_FAULT: Final = "FAULT"

# Faults that make the part of a unit in an aggregated answer fail.
_FAILURES: Final = (
    frozenset(FaultKind)
    - CARRIED
    - {FaultKind.EMPTY, FaultKind.ERROR, FaultKind.INFO, FaultKind.ANSWER_LATE}
)

_TOLVAN: Final = "191212121212"  # Skatteverket's test person
_INVITED_IN_DAYS: Final = 14
_DOCBOOK: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<article xmlns="http://docbook.org/ns/docbook" version="5.0">'
    "<info><title>Kallelse till läkarbesök</title></info>"
    "<section><title>Inför besöket</title>"
    "<para>Ta med en lista över de läkemedel du använder.</para>"
    "<para>Välkommen!</para></section>"
    "</article>"
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _ReceivedCall:
    call: Call
    interaction: Interaction | None
    soap_action: str

    @property
    def is_write(self) -> bool:
        return self.interaction in scheduling.WRITES

    @property
    def contract(self) -> Any:  # noqa: ANN401 - any of eleven
        if self.interaction is None:
            raise platform_fault("VP004")
        return CONTRACTS[self.interaction]

    def request_if_readable(self) -> Any:  # noqa: ANN401 - each contract has its own
        try:
            return read_request(self.contract, self.call)
        except MalformedElement:
            return None


class Region(FaultyProducer):
    """
    A region that answers SOAP.

    Args:
        catalogue: Its units, staff and time types.
        agenda: Its planned times.
        clock: Its clock.
        wait: Waits a number of seconds, less when the server stops.

    Attributes:
        interactions: Those that its fault rules may name.
        fault_kinds: The kinds of its fault rules.
    """

    interactions: Final = frozenset(scheduling.INTERACTIONS)
    fault_kinds: Final = frozenset(FaultKind)

    def __init__(
        self,
        catalogue: SandboxRegion,
        *,
        agenda: Agenda,
        clock: Clock,
        wait: Callable[[float], None],
    ) -> None:
        super().__init__(catalogue.name, by_action=_BY_ACTION, wait=wait)
        self.catalogue = catalogue
        self._clock = clock
        self._book = Book(
            agenda=agenda,
            clock=clock,
            booking_id_from_number=_booking_ids(
                catalogue.style, epoch_seconds(clock())
            ),
        )
        self._ledger = Ledger(clock)
        self._producer: Producer = _PRODUCERS[catalogue.style](catalogue, self._book)
        self._invite()

    def sell_naively(self, *, naively: bool) -> None:
        """From now on sell a time without limit, or each place once as before."""
        with self._book.lock:
            self._book.is_naive = naively

    def ledger_json(self) -> dict[str, Any]:
        """Return all writes that were received and all bookings."""
        with self._book.lock:
            return {
                "region": self.catalogue.name,
                "writes": self._ledger.rows(),
                "bookings": [booking_json(booked) for booked in self._book.all()],
            }

    def invite(self, order: InvitationOrder) -> dict[str, Any] | None:
        """Make an invitation; return it as in the ledger, None without a free time."""
        with self._book.lock:
            if order.protects:
                self._book.protect(order.unit, order.time_type)
            invited = self._book.invite(
                order.unit,
                order.time_type,
                Party(subject_of_care=order.subject_of_care),
                purpose=order.purpose,
                in_days=order.in_days,
                is_invitation=not order.by_telephone,
            )
        return None if invited is None else booking_json(invited)

    def withdraw(self, booking_id: str) -> bool:
        """Take an open invitation back; return whether there was one of that id."""
        try:
            self._book.withdraw(BookingId(booking_id))
        except Refused:
            return False
        return True

    def posts(self) -> Iterator[EngagementType]:
        """
        Yield its posts in the engagement index: coming bookings, and invitations.

        The exact system writes category NA, the older ones still Booking or Invitation.
        """
        at = civil_time_text(self._clock())
        is_newest = self.catalogue.style is Style.EXACT
        for booked in self._book.all():
            if booked.time is not None and booked.time.start <= at:
                continue
            category = "Invitation" if booked.is_invitation else "Booking"
            yield EngagementType(
                registered_resident_identification=booked.party.subject_of_care,
                service_domain=SERVICE_DOMAIN,
                categorization="NA" if is_newest else category,
                logical_address=booked.unit.hsa_id,
                business_object_instance_identifier=booked.booking_id,
                clinical_process_interest_id="NA",
                # An open invitation has the unit's own date: here today.
                most_recent_content=(
                    f"{at[:8]}000000" if booked.time is None else booked.time.start
                ),
                source_system=f"{self.catalogue.hsa_prefix}SYSTEM",
                data_controller=self.catalogue.hsa_prefix.rstrip("-"),
            )

    def answer(
        self, document: bytes, soap_action: str, _headers: Message
    ) -> Reply | None:
        """Return the answer to a message, or None to reset the connection."""
        try:
            call = read_call(document)
        except (UnreadableXml, MalformedEnvelope):
            return fault_reply(platform_fault("VP015"))
        if call.action == ping.CONTRACT.request_tag:
            body = write_response(ping.CONTRACT, ping_response(self._clock))
            return Reply(status=200, body=body)
        received = _ReceivedCall(
            call=call, interaction=_BY_TAG.get(call.action), soap_action=soap_action
        )
        rule = self.rules.take(received.interaction, call.logical_address)
        if rule is None:
            return self._process(received)
        if rule.kind in CARRIED:
            return carried(self._process(received), rule)
        return self._spoil(received, rule)

    def _spoil(self, received: _ReceivedCall, rule: FaultRule) -> Reply | None:
        match rule.kind:
            case FaultKind.REFUSE:
                return None
            case FaultKind.HANG | FaultKind.DROP_BEFORE_PROCESSING:
                self._note(received, _DROPPED_BEFORE)
                self._wait(rule.seconds)
                return None
            case FaultKind.DROP_AFTER_PROCESSING:
                self._process(received, result=_DROPPED_AFTER)
                self._wait(rule.seconds)
                return None
            case FaultKind.ANSWER_LATE:
                reply = self._process(received)
                self._wait(rule.seconds)
                return reply
            case FaultKind.INFO:
                return self._process(received, info=rule.text)
            case _:
                return self._substitute(received, rule)

    def _substitute(self, received: _ReceivedCall, rule: FaultRule) -> Reply:
        """Return an answer in the place of the booking system's own."""
        contract = received.contract
        match rule.kind:
            case FaultKind.EMPTY:
                aggregated = (
                    received.call.logical_address == self.catalogue.aggregated_address
                )
                outcome = Outcome(
                    response=contract.response(),
                    processing_status=() if aggregated else None,
                )
                return self._write_reply(received, outcome)
            case FaultKind.ERROR:
                self._note(received, ResultCode.ERROR.value)
                response = contract.response(
                    result_code=ResultCode.ERROR.value, result_text=rule.text or None
                )
                return self._write_reply(received, Outcome(response=response))
            case FaultKind.WRONG_STATUS:
                if rule.after or not received.is_write:
                    return replace(self._process(received), status=rule.status)
                self._note(received, _DROPPED_BEFORE)
                response = contract.response(result_code=ResultCode.OK.value)
                reply = self._write_reply(received, Outcome(response=response))
                return replace(reply, status=rule.status)
            case FaultKind.DELIVER_NOTHING:
                self._note_or_process(received, rule, _DROPPED_BEFORE, _DROPPED_AFTER)
                return Reply(status=200, body=b"")
            case _:
                self._note_or_process(received, rule, _FAULT, _FAULT)
                return fault_reply(platform_fault(rule.code))

    def _note_or_process(
        self, received: _ReceivedCall, rule: FaultRule, before: str, after: str
    ) -> None:
        if rule.after:
            self._process(received, result=after)
        else:
            self._note(received, before)

    def _process(
        self,
        received: _ReceivedCall,
        *,
        result: str | None = None,
        info: str | None = None,
    ) -> Reply:
        """
        Let the booking system answer.

        Args:
            received: The message.
            result: The result for the ledger; None for the result of the answer.
            info: Replace the result OK by INFO with this text.
        """
        if received.interaction not in scheduling.WRITES:
            try:
                return self._write_reply(received, self._read(received))
            except ProducerFault as fault:
                return fault_reply(fault)
        with self._book.lock:
            try:
                request = self._request(received)
                outcome = self._producer.process(
                    received.interaction, request, received.call.actor
                )
            except ProducerFault as fault:
                self._note(received, result or _FAULT)
                return fault_reply(fault)
            if info is not None and outcome.response.result_code == ResultCode.OK.value:
                outcome = replace(
                    outcome,
                    response=replace(
                        outcome.response,
                        result_code=ResultCode.INFO.value,
                        result_text=info,
                    ),
                )
            self._note(received, result or outcome.response.result_code, outcome)
        return self._write_reply(received, outcome)

    def _read(self, received: _ReceivedCall) -> Outcome:
        interaction = received.interaction
        address = received.call.logical_address
        if (
            interaction == scheduling.GET_SUBJECT_OF_CARE_SCHEDULE
            and address is not None
            and address == self.catalogue.aggregated_address
        ):
            request = self._producer.request(
                received.contract, received.call, soap_action=received.soap_action
            )
            return self._aggregate(request.subject_of_care)
        request = self._request(received)
        if interaction is None:
            raise platform_fault("VP004")
        return self._producer.process(interaction, request, received.call.actor)

    def _request(self, received: _ReceivedCall) -> Any:  # noqa: ANN401 - each contract's own
        address = received.call.logical_address
        if address is None:
            raise platform_fault("VP003")
        if received.interaction is None or not self._producer.serves(address):
            raise platform_fault("VP004")
        return self._producer.request(
            received.contract, received.call, soap_action=received.soap_action
        )

    def _aggregate(self, subject_of_care: str) -> Outcome:
        """
        Return a resident's bookings at all units, as an aggregating service does.

        A unit fails if a fault rule names its address: the answer then lacks its times,
        and its record shows the failure.
        """
        units = dict.fromkeys(
            booked.unit.hsa_id for booked in self._book.coming(subject_of_care)
        )
        failed = [
            unit
            for unit in units
            if self.rules.take(
                scheduling.GET_SUBJECT_OF_CARE_SCHEDULE,
                unit,
                kinds=_FAILURES,
                needs_units=True,
            )
        ]
        present = civil_time_text(self._clock())
        return Outcome(
            response=self._producer.schedule(subject_of_care, without=failed),
            processing_status=tuple(
                _failure(unit, present) if unit in failed else _success(unit, present)
                for unit in units
            ),
        )

    def _write_reply(self, received: _ReceivedCall, outcome: Outcome) -> Reply:
        if received.interaction is None:
            return fault_reply(platform_fault("VP004"))
        return Reply(
            status=200,
            body=self._producer.document(
                received.contract, received.interaction, outcome
            ),
        )

    def _note(
        self, received: _ReceivedCall, result: str, outcome: Outcome | None = None
    ) -> None:
        """Add a write to the ledger; a read is not recorded."""
        if received.interaction is None or not received.is_write:
            return
        request = received.request_if_readable()
        slot = getattr(request, "requested_timeslot", None)
        booked = outcome.booked if outcome else None
        if slot is not None:
            time = LedgerTime.of_request(slot)
        elif booked is not None and booked.time is not None:
            time = LedgerTime.of_booking(booked.time)
        else:
            time = None
        holder = request if slot is None else slot
        with self._book.lock:
            self._ledger.append(
                Write(
                    interaction=received.interaction.name,
                    unit=getattr(holder, "healthcare_facility", None),
                    timeslot=time,
                    booking_id_sent=getattr(holder, "booking_id", None),
                    booking_id=outcome.booking_id if outcome else None,
                    subject_of_care=(
                        slot.subject_of_care
                        if slot is not None
                        else booked.party.subject_of_care
                        if booked
                        else None
                    ),
                    result=result,
                    actor_type=(
                        None
                        if received.call.actor is None
                        else received.call.actor.type.value
                    ),
                    is_done=booked is not None,
                )
            )

    def _invite(self) -> None:
        """Invite a test person to a time, and to choose one, if the system can."""
        if self.catalogue.style is Style.TAKECARE:
            return
        unit = self.catalogue.units[0]
        party = Party(subject_of_care=_TOLVAN)
        if self.catalogue.style is Style.EXACT:
            self._invite_to(unit, "lakare", party, _DOCBOOK, _INVITED_IN_DAYS)
        self._invite_to(unit, "dsk", party, "Boka tid för kontroll.", None)

    def _invite_to(
        self,
        unit: SandboxUnit,
        key: str,
        party: Party,
        purpose: str,
        in_days: int | None,
    ) -> None:
        for time_type in unit.time_types:
            if time_type.key == key:
                self._book.invite(
                    unit, time_type, party, purpose=purpose, in_days=in_days
                )


def _success(unit: str, present: str) -> ProcessingStatusRecord:
    return ProcessingStatusRecord(
        logical_address=unit,
        status_code=StatusCode.DATA_FROM_SOURCE.value,
        is_response_from_cache=False,
        is_response_in_synch=True,
        last_successful_synch=present,
    )


def _failure(unit: str, present: str) -> ProcessingStatusRecord:
    # Like the aggregating service, without the required lastSuccessfulSynch.
    return ProcessingStatusRecord(
        logical_address=unit,
        status_code=StatusCode.NO_DATA_SYNCH_FAILED.value,
        is_response_from_cache=False,
        is_response_in_synch=False,
        last_unsuccessful_synch=present,
        last_unsuccessful_synch_error=SynchError(
            causing_agent="virtualization_platform",
            code="43000",
            text=platform_fault("VP009").fault.text,
        ),
    )


def _booking_ids(style: Style, started: int) -> Callable[[int], BookingId]:
    # Every id contains the time of the sandbox's start, so that an id that a consumer
    # has stored from an earlier run is never the id of another booking.
    match style:
        case Style.EXACT:
            return lambda number: BookingId(f"NB{started:X}-{number}")
        case Style.TAKECARE:
            return lambda number: BookingId(f"{started}{number:06d}")
        case Style.SCHEDULR:
            return lambda number: BookingId(
                str(uuid5(NAMESPACE_OID, f"syd {started} {number}"))
            )
