"""
The sandbox's log service: StoreLog 2.0, its ledger and its fault rules.

It checks each message more strictly than the schema does, stores all of its entries or
none, and stores an entry that it has already only if nothing in it has changed.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import Message
from typing import Any, Final

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.log_entry import STORE_LOG
from fhir_gateway.model.timekeeping import instant_from_text
from fhir_gateway.rivta.envelope import (
    Call,
    MalformedEnvelope,
    read_call,
    write_response,
)
from fhir_gateway.rivta.store_log_2_0.store_log import CONTRACT, Request, Response
from fhir_gateway.rivta.store_log_2_0.types import LogType, ResourceType, ResultType
from fhir_gateway.rivta.xml import UnreadableXml
from fhir_gateway.sandbox.fault_rule import FaultKind, FaultRule
from fhir_gateway.sandbox.faulty_producer import FaultyProducer, checked_request
from fhir_gateway.sandbox.producer import ProducerFault, is_person, platform_fault
from fhir_gateway.sandbox.reply import CARRIED, Reply, carried, fault_reply

__all__ = ["LogReceiver"]

_OK: Final = "OK"
_ERROR: Final = "ERROR"
_INVALID: Final = "VALIDATION_ERROR"
_CODES: Final = frozenset({_ERROR, _INVALID, "ACCESSDENIED"})

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ACTIVITIES: Final = frozenset(
    {"Läsa", "Skriva", "Signera", "Utskrift", "Vidimera", "Radera", "Nödöppning"}
)
_PURPOSES: Final = frozenset(
    {
        *("Vård och behandling", "Kvalitetssäkring", "Annan dokumentation enligt lag"),
        *("Statistik", "Administration", "Kvalitetsregister"),
    }
)
_ROOTS: Final = frozenset({"1.2.752.129.2.1.3.1", "1.2.752.129.2.1.3.3"})

_PROCESSED: Final = frozenset(
    {FaultKind.ANSWER_LATE, FaultKind.DROP_AFTER_PROCESSING, FaultKind.INFO}
)
_UNANSWERED: Final = frozenset(
    {
        *(FaultKind.HANG, FaultKind.REFUSE),
        *(FaultKind.DROP_BEFORE_PROCESSING, FaultKind.DROP_AFTER_PROCESSING),
    }
)
_WAITING: Final = _UNANSWERED - {FaultKind.REFUSE} | {FaultKind.ANSWER_LATE}


class LogReceiver(FaultyProducer):
    """
    A log service that answers SOAP.

    Args:
        name: Its name in the sandbox's URLs.
        wait: Waits a number of seconds, less when the server stops.

    Attributes:
        interactions: Those that its fault rules may name.
        fault_kinds: The kinds of its fault rules.
    """

    interactions: Final = frozenset({STORE_LOG})
    fault_kinds: Final = frozenset(FaultKind)

    def __init__(self, name: str, *, wait: Callable[[float], None]) -> None:
        super().__init__(name, by_action={CONTRACT.action: STORE_LOG}, wait=wait)
        self._stored: dict[str, LogType] = {}
        self._received: Counter[str] = Counter()
        self._results: list[str] = []

    def ledger_json(self) -> dict[str, Any]:
        """
        Return the entries that it has, and the result of each message.

        `received` is how many times an entry came, the repeats included.
        """
        with self._lock:
            return {
                "receiver": self.name,
                "results": list(self._results),
                "entries": [
                    _entry_json(log) | {"received": self._received[log.log_id]}
                    for log in self._stored.values()
                ],
            }

    def answer(
        self,
        document: bytes,
        soap_action: str,
        _headers: Message,
    ) -> Reply | None:
        """Return the answer to a message, or None to reset the connection."""
        try:
            call = read_call(document)
        except (UnreadableXml, MalformedEnvelope):
            return fault_reply(platform_fault("VP015"))
        rule = self.rules.take(STORE_LOG, call.logical_address)
        if rule is None:
            return self._process(call, soap_action)
        if rule.kind in CARRIED:
            return carried(self._process(call, soap_action), rule)
        return self._spoil(call, soap_action, rule)

    def _spoil(self, call: Call, soap_action: str, rule: FaultRule) -> Reply | None:
        if rule.after or rule.kind in _PROCESSED:
            reply = self._process(call, soap_action)
        elif rule.kind is FaultKind.ERROR:
            reply = self._result(
                rule.code if rule.code in _CODES else _ERROR, rule.text
            )
        else:
            reply = _reply(ResultType(result_code=_OK))
        if rule.kind in _WAITING:
            self._wait(rule.seconds)
        if rule.kind in _UNANSWERED:
            return None
        match rule.kind:
            case FaultKind.INFO:
                return _reply(ResultType(result_code="INFO", result_text=rule.text))
            case FaultKind.WRONG_STATUS:
                return replace(reply, status=rule.status)
            case FaultKind.DELIVER_NOTHING:
                return Reply(status=200, body=b"")
            case FaultKind.VP_FAULT:
                return fault_reply(platform_fault(rule.code))
        return reply

    def _process(self, call: Call, soap_action: str) -> Reply:
        try:
            request = _checked_request(call, soap_action)
        except ProducerFault as fault:
            return fault_reply(fault)
        with self._lock:
            wrong = next(
                (
                    f"{element} of log {number}"
                    for number, log in enumerate(request.logs, start=1)
                    for element in self._faults(log)
                ),
                None,
            )
            if wrong is None:
                for log in request.logs:
                    self._stored.setdefault(log.log_id, log)
                    self._received[log.log_id] += 1
        if wrong is not None:
            return self._result(_INVALID, wrong)
        return self._result(_OK)

    def _faults(self, log: LogType) -> Iterator[str]:
        """Yield the names of wrong elements of an entry."""
        if self._stored.get(log.log_id, log) != log:
            yield "logId"
        yield from _faults(log)

    def _result(self, code: str, text: str | None = None) -> Reply:
        with self._lock:
            self._results.append(code)
        return _reply(ResultType(result_code=code, result_text=text or None))


def _checked_request(call: Call, soap_action: str) -> Request:
    """
    Return the request that a call carries.

    Raises:
        ProducerFault: The message breaks the schema, or a rule of the platform.
    """
    if call.logical_address is None:
        raise platform_fault("VP003")
    if call.action != CONTRACT.request_tag:
        raise platform_fault("VP004")
    request: Request = checked_request(CONTRACT, call, soap_action)
    if not request.logs:
        raise platform_fault("VP015", "log")
    return request


def _faults(log: LogType) -> Iterator[str]:
    """Yield the names of elements that the schema permits and the law does not."""
    user = log.user
    checks = (
        ("logId", bool(_UUID.fullmatch(log.log_id))),
        ("activityType", log.activity.activity_type in _ACTIVITIES),
        ("purpose", log.activity.purpose in _PURPOSES),
        ("startDate", instant_from_text(log.activity.start_date) is not None),
        ("systemId", _is_hsa_id(log.system.system_id)),
        ("userId", _is_hsa_id(user.user_id)),
        ("careProviderId", _is_hsa_id(user.care_provider.care_provider_id)),
        ("careUnitId", _is_hsa_id(user.care_unit.care_unit_id)),
        ("resource", bool(log.resources.resources)),
        ("patientId", all(map(_has_patient, log.resources.resources))),
    )
    yield from (name for name, is_right in checks if not is_right)


def _has_patient(resource: ResourceType) -> bool:
    if resource.patient is None:
        return False
    number = resource.patient.patient_id
    return number.root in _ROOTS and is_person(number.extension or "")


def _is_hsa_id(text: str) -> bool:
    try:
        HsaId(text)
    except ValueError:
        return False
    return True


def _reply(result: ResultType) -> Reply:
    return Reply(status=200, body=write_response(CONTRACT, Response(result=result)))


def _entry_json(log: LogType) -> dict[str, Any]:
    return {
        "log_id": log.log_id,
        "system_id": log.system.system_id,
        "activity_type": log.activity.activity_type,
        "start_date": log.activity.start_date,
        "purpose": log.activity.purpose,
        "user_id": log.user.user_id,
        "assignment": log.user.assignment,
        "care_provider_id": log.user.care_provider.care_provider_id,
        "care_unit_id": log.user.care_unit.care_unit_id,
        "patients": [
            resource.patient.patient_id.extension
            for resource in log.resources.resources
            if resource.patient is not None
        ],
    }
