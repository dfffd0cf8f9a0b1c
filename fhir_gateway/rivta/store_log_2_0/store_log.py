"""
StoreLog 2.0: hand log entries to a log service.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model.log_entry import STORE_LOG
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import element, elements
from fhir_gateway.rivta.limit import PERSONAL
from fhir_gateway.rivta.store_log_2_0.types import LogType, ResultType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:informationsecurity:auditing:log:StoreLogResponder:2"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of StoreLog; the schema requires one entry at least."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    logs: tuple[LogType, ...] = elements("log", LogType)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of StoreLogResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    result: ResultType = element("result", ResultType, required=True)


CONTRACT: Final = Contract(STORE_LOG, NAMESPACE, Request, Response, limit=PERSONAL)
