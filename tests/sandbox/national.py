"""
A consumer of the sandbox's platform, with the real client.
"""

from typing import Any, Final

import requests

from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.rivta.client import SoapClient
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import CONTENT_TYPE, ContractAnswer, write_request
from fhir_gateway.rivta.processing_status import ProcessingStatusRecord
from fhir_gateway.rivta.scheduling_1_1 import get_subject_of_care_schedule as listing
from fhir_gateway.sandbox.server import SandboxServer

from .consumer import TIMEOUT_S, TOLVAN, Consumer

NATIONAL: Final = "5565594230"
CONSUMER: Final = HsaId("SE2321009900-GATEWAY")


class PlatformConsumer:
    """What a consumer asks the platform."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.endpoint = server.endpoint("platform")
        self.client = SoapClient(
            source=SourceName("platform"), endpoint=self.endpoint, consumer=CONSUMER
        )
        self.norr = Consumer(server, "norr")
        self.mitt = Consumer(server, "mitt")
        self.syd = Consumer(server, "syd")

    def call(
        self,
        contract: Contract[Any, Any],
        request: object,
        address: str,
        *,
        actor: Actor | None = None,
    ) -> ContractAnswer:
        """Send a message."""
        return self.client.call(
            contract,
            request,
            logical_address=LogicalAddress(address),
            actor=actor,
            timeout=TIMEOUT_S,
        )

    def schedule(
        self, person: str = TOLVAN, *, address: str = NATIONAL
    ) -> ContractAnswer:
        """Ask for a resident's bookings, of the whole country by default."""
        return self.call(
            listing.CONTRACT,
            listing.Request(healthcare_facility=address, subject_of_care=person),
            address,
            actor=Actor.resident(PersonalIdentityNumber(person)),
        )

    def statuses(self, answer: ContractAnswer) -> dict[str, ProcessingStatusRecord]:
        """Return the records of an answer, by unit."""
        assert answer.processing_status is not None
        return {each.logical_address: each for each in answer.processing_status}

    def post(
        self,
        document: bytes,
        *,
        action: str = listing.CONTRACT.action,
        to: str = "platform",
        **headers: str,
    ) -> requests.Response:
        """Post bytes as a message; names of headers have _ for -."""
        return requests.post(
            self.server.endpoint(to),
            data=document,
            headers={
                "Content-Type": CONTENT_TYPE,
                "SOAPAction": f'"{action}"',
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            timeout=TIMEOUT_S,
        )

    def document(self, address: str = NATIONAL, person: str = TOLVAN) -> bytes:
        """Return the message that asks for a resident's bookings."""
        return write_request(
            listing.CONTRACT,
            listing.Request(healthcare_facility=address, subject_of_care=person),
            logical_address=LogicalAddress(address),
            actor=Actor.resident(PersonalIdentityNumber(person)),
        )

    def behave(self, **options: object) -> requests.Response:
        """Let the platform behave so from now on."""
        return requests.put(
            f"{self.server.url}/platform", json=options, timeout=TIMEOUT_S
        )

    def fault(self, where: str, fault: str, **fields: object) -> requests.Response:
        """Order a fault."""
        return requests.post(
            f"{self.server.url}/faults/{where}",
            json={"fault": fault, **fields},
            timeout=TIMEOUT_S,
        )

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls that the platform has routed."""
        page: dict[str, Any] = requests.get(
            f"{self.server.url}/ledger/platform", timeout=TIMEOUT_S
        ).json()
        rows: list[dict[str, Any]] = page["calls"]
        return rows
