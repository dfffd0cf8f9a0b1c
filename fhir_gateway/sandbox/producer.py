"""
The interface of a region's booking system, and what all of them share.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fhir_gateway.model.interaction import Actor, Interaction
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import Clock, civil_time_text
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import Call
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.monitoring_1_0 import ping_for_configuration as ping
from fhir_gateway.rivta.processing_status import ProcessingStatusRecord
from fhir_gateway.rivta.scheduling_1_1.get_subject_of_care_schedule import (
    Response as ScheduleResponse,
)
from fhir_gateway.sandbox.book import BookedTime

__all__ = [
    "Outcome",
    "Producer",
    "ProducerFault",
    "client_fault",
    "is_person",
    "ping_response",
    "platform_fault",
    "server_fault",
]

_RESERVE_NUMBER: Final = re.compile(r"[0-9]{8}[pPtTfF][0-9]{3}")


class ProducerFault(Exception):
    """The answer is a SOAP fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outcome:
    """
    The outcome of a call.

    Attributes:
        response: The contract's response; None for one without its required element.
        booked: The booking that a write made, moved or cancelled; None when refused.
        booking_id: The id of the booking after the write.
        processing_status: The ProcessingStatus of an aggregated answer.
    """

    response: Any
    booked: BookedTime | None = None
    booking_id: str | None = None
    processing_status: tuple[ProcessingStatusRecord, ...] | None = None


class Producer(Protocol):
    """A region's booking system."""

    def serves(self, logical_address: str) -> bool:
        """Return whether the platform routes that address here."""

    def request(
        self, contract: Contract[Any, Any], call: Call, *, soap_action: str
    ) -> Any:  # noqa: ANN401 - each contract has its own
        """
        Return the request that a call carries.

        Raises:
            ProducerFault: The system does not accept it.
        """

    def process(
        self,
        interaction: Interaction,
        request: Any,  # noqa: ANN401 - each contract has its own
        actor: Actor | None,
    ) -> Outcome:
        """
        Process a request.

        Raises:
            ProducerFault: The answer is a fault; nothing was done.
        """

    def schedule(
        self, subject_of_care: str, *, without: Sequence[str] = ()
    ) -> ScheduleResponse:
        """Return a resident's coming bookings at all units except some."""

    def document(
        self, contract: Contract[Any, Any], interaction: Interaction, outcome: Outcome
    ) -> bytes:
        """Return the document of the answer."""


def is_person(number: str) -> bool:
    """Return whether a text is a personal, coordination or reserve number."""
    if _RESERVE_NUMBER.fullmatch(number):
        return True
    try:
        PersonalIdentityNumber(number)
    except ValueError:
        return False
    return True


def ping_response(clock: Clock) -> ping.Response:
    """Return what a part of the sandbox answers to a ping."""
    return ping.Response(
        version="fhir-gateway-sandbox", ping_date_time=civil_time_text(clock())
    )


def client_fault(text: str) -> ProducerFault:
    """Return a fault that blames the consumer's message."""
    return ProducerFault(Fault(code="soapenv:Client", text=text))


def server_fault(text: str) -> ProducerFault:
    """Return a fault of the booking system itself."""
    return ProducerFault(Fault(code="soapenv:Server", text=text))


_PLATFORM_TEXTS: Final = {
    "VP003": ("Client", "Logisk adress saknas i meddelandets huvud"),
    "VP004": ("Client", "Det finns inget vägval för logisk adress och kontrakt"),
    "VP005": ("Client", "Producenten stödjer inte anropets RIVTA-version"),
    "VP007": ("Server", "Konsumenten saknar behörighet"),
    "VP009": ("Server", "Fel vid kontakt med tjänsteproducenten"),
    "VP011": ("Client", "Anroparen får inte ange huvudet x-vp-sender-id"),
    "VP014": ("Server", "Anropet går runt mellan tjänsteplattformar"),
    "VP015": ("Client", "Meddelandet går inte att läsa"),
}


def platform_fault(code: str, detail: str = "") -> ProducerFault:
    """Return a fault in the form of the service platform: code, instance, text."""
    kind, text = _PLATFORM_TEXTS.get(code, ("Server", "Fel i tjänsteplattformen"))
    return ProducerFault(
        Fault(
            code=f"soapenv:{kind}",
            text=f"{code} [sandbox] {text}{': ' + detail if detail else ''}",
        )
    )
