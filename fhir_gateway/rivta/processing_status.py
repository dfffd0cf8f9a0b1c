"""
ProcessingStatus: the report of an aggregating service about each source it asked.

A header of `urn:riv:interoperability:headers:1` in the response. Only this header shows
whether a source failed or has nothing: the body is the same in both cases.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final

from lxml import etree

from fhir_gateway.rivta.binding import read, write
from fhir_gateway.rivta.element import BOOLEAN, TEXT, element, elements
from fhir_gateway.rivta.namespace import is_of_family, likeness_of
from fhir_gateway.rivta.rejection import MalformedElement, Rejections

__all__ = [
    "ProcessingStatusRecord",
    "StatusCode",
    "SynchError",
    "read_processing_status",
    "write_processing_status",
]

_HEADERS: Final = "urn:riv:interoperability:headers:1"
_NAME: Final = "ProcessingStatus"
_TAG: Final = f"{{{_HEADERS}}}{_NAME}"
# A producer may repeat the headers of the request in its answer.
_OTHER_HEADERS: Final = frozenset({"Actor"})


class StatusCode(Enum):
    """The origin of the data of one source (`StatusCodeEnum`)."""

    DATA_FROM_SOURCE = "DataFromSource"
    DATA_FROM_CACHE = "DataFromCache"
    DATA_FROM_CACHE_SYNCH_FAILED = "DataFromCacheSynchFailed"
    NO_DATA_SYNCH_FAILED = "NoDataSynchFailed"


_FROM_CACHE: Final = frozenset(
    {StatusCode.DATA_FROM_CACHE.value, StatusCode.DATA_FROM_CACHE_SYNCH_FAILED.value}
)


@dataclass(frozen=True, kw_only=True, repr=False)
class SynchError:
    """Why a source could not be asked; the other system wrote the text."""

    NAMESPACE: ClassVar[str] = _HEADERS

    causing_agent: str | None = element("causingAgent")
    code: str | None = element("code")
    text: str | None = element("text", TEXT)


@dataclass(frozen=True, kw_only=True, repr=False)
class ProcessingStatusRecord:
    """
    The outcome of asking one source.

    The schema requires `lastSuccessfulSynch`. The aggregating service (skltp/agp)
    leaves it out when the source failed, so it is not required here.
    """

    NAMESPACE: ClassVar[str] = _HEADERS

    logical_address: str = element("logicalAddress", required=True)
    status_code: str = element("statusCode", required=True)
    is_response_from_cache: bool | None = element("isResponseFromCache", BOOLEAN)
    is_response_in_synch: bool | None = element("isResponseInSynch", BOOLEAN)
    last_successful_synch: str | None = element("lastSuccessfulSynch")
    last_unsuccessful_synch: str | None = element("lastUnsuccessfulSynch")
    last_unsuccessful_synch_error: SynchError | None = element(
        "lastUnsuccessfulSynchError", SynchError
    )

    @property
    def is_from_cache(self) -> bool:
        """
        Return whether the data is from the last successful synch.

        One of the two flags is enough: a record can contradict its own status code.
        """
        return self.status_code in _FROM_CACHE or (
            self.status_code == StatusCode.DATA_FROM_SOURCE.value
            and (
                self.is_response_from_cache is True
                or self.is_response_in_synch is False
            )
        )

    @property
    def is_from_source(self) -> bool:
        """Return whether the data was read from the source for this answer."""
        return (
            self.status_code == StatusCode.DATA_FROM_SOURCE.value
            and not self.is_from_cache
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class _ProcessingStatus:
    NAMESPACE: ClassVar[str] = _HEADERS

    records: tuple[ProcessingStatusRecord, ...] = elements(
        "ProcessingStatusList", ProcessingStatusRecord, rejects_items=True
    )


def read_processing_status(
    header: etree._Element, rejected: Rejections
) -> tuple[ProcessingStatusRecord, ...] | None:
    """
    Return the records in a SOAP header; None if it has no ProcessingStatus.

    There are several headers if aggregating services ask one another.

    Args:
        header: The SOAP header.
        rejected: Receives the records without an address or a status, and elements
            that look like a misspelt ProcessingStatus or hold one.
    """
    statuses = []
    for child in header:
        namespace, _, name = child.tag.rpartition("}")
        if name == _NAME and is_of_family(child.tag, _HEADERS):
            try:
                statuses.append(read(_ProcessingStatus, child, rejected))
            except MalformedElement as error:
                rejected.leave_out_item(f"{_NAME}/{error.element}", error.reason, None)
        elif name.lower() == _NAME.lower() or (
            is_of_family(namespace + "}", _HEADERS) and name not in _OTHER_HEADERS
        ):
            rejected.leave_out_item(_NAME, "is misspelt", None)
        elif any(
            likeness_of(inner.tag.rpartition("}")[2]).startswith(_NAME.lower())
            for inner in child.iterdescendants()
        ):
            rejected.leave_out_item(_NAME, "stands inside another header", None)
    if not statuses:
        return None
    return tuple(record for status in statuses for record in status.records)


def write_processing_status(
    records: tuple[ProcessingStatusRecord, ...], header: etree._Element
) -> None:
    """Append the records to a SOAP header."""
    write(_ProcessingStatus(records=records), etree.SubElement(header, _TAG))
