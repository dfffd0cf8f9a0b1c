"""
ProcessingStatus: what an aggregating service says of each source it asked.

Header of `urn:riv:interoperability:headers:1` in the response. It alone tells a source
that failed from one that has nothing: the body looks the same.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final

from lxml import etree

from fhir_gateway.rivta.binding import (
    BOOLEAN,
    MalformedElement,
    element,
    elements,
    read,
    write,
)

__all__ = [
    "ProcessingStatusRecord",
    "StatusCode",
    "SynchError",
    "read_processing_status",
    "write_processing_status",
]

_HEADERS: Final = "urn:riv:interoperability:headers:1"
_TAG: Final = f"{{{_HEADERS}}}ProcessingStatus"


class StatusCode(Enum):
    """Where the data of one source comes from (`StatusCodeEnum`)."""

    DATA_FROM_SOURCE = "DataFromSource"
    DATA_FROM_CACHE = "DataFromCache"
    DATA_FROM_CACHE_SYNCH_FAILED = "DataFromCacheSynchFailed"
    NO_DATA_SYNCH_FAILED = "NoDataSynchFailed"


@dataclass(frozen=True, kw_only=True, repr=False)
class SynchError:
    """Why a source could not be asked; the text is the other system's."""

    NAMESPACE: ClassVar[str] = _HEADERS

    causing_agent: str | None = element("causingAgent")
    code: str | None = element("code")
    text: str | None = element("text")


@dataclass(frozen=True, kw_only=True, repr=False)
class ProcessingStatusRecord:
    """
    What became of one source.

    `lastSuccessfulSynch` is required by the schema and left out by the aggregating
    service when the source failed (skltp/agp), so it is not required here.
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
    def is_from_source(self) -> bool:
        """Return whether the data was read from the source just now."""
        return self.status_code == StatusCode.DATA_FROM_SOURCE.value


@dataclass(frozen=True, kw_only=True, repr=False)
class _ProcessingStatus:
    NAMESPACE: ClassVar[str] = _HEADERS

    records: tuple[ProcessingStatusRecord, ...] = elements(
        "ProcessingStatusList", ProcessingStatusRecord
    )


def read_processing_status(
    header: etree._Element,
) -> tuple[ProcessingStatusRecord, ...] | None:
    """
    Return the records in a SOAP header, or None when it has no ProcessingStatus.

    Raises:
        MalformedElement: A record lacks its address or its status.
    """
    for child in header:
        if child.tag.rpartition("}")[2] == "ProcessingStatus":
            rejected: list[MalformedElement] = []
            return read(_ProcessingStatus, child, rejected).records
    return None


def write_processing_status(
    records: tuple[ProcessingStatusRecord, ...], header: etree._Element
) -> None:
    """Append the records to a SOAP header."""
    write(_ProcessingStatus(records=records), etree.SubElement(header, _TAG))
