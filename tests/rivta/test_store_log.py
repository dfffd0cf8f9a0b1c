"""
StoreLog 2.0: what is written, against the schemas of informationsecurity:auditing:log.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from log_entries import NURSE, log_entry
from lxml import etree

from fhir_gateway.adapters.store_log.mapping import log_from_entry
from fhir_gateway.model.ids import HsaId, LogicalAddress
from fhir_gateway.model.log_entry import LogActivity, LogEntry
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import StaffMember
from fhir_gateway.rivta.envelope import (
    ContractAnswer,
    read_call,
    read_request,
    read_response,
    write_request,
    write_response,
)
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.store_log_2_0.store_log import CONTRACT, Request, Response
from fhir_gateway.rivta.store_log_2_0.types import ResultType

from .conftest import Canonical, Recorded, Validate

ADDRESS = LogicalAddress("SE165565594230-1000")
SYSTEM = HsaId("SE2321000016-GW")

_HSA_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,30}", fullmatch=True).map(HsaId)
ENTRIES = st.builds(
    LogEntry,
    id=st.uuids().map(str),
    activity=st.sampled_from(LogActivity),
    at=st.datetimes(
        datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis wants them naive
        datetime(2100, 1, 1),  # noqa: DTZ001 - hypothesis wants them naive
        timezones=st.just(UTC),
    ),
    staff=st.builds(
        StaffMember,
        hsa_id=_HSA_IDS,
        assignment=_HSA_IDS,
        unit=_HSA_IDS,
        provider=_HSA_IDS,
    ),
    patient=st.sampled_from(["191212121212", "197010632391"]).map(
        PersonalIdentityNumber
    ),
)


def document_of(*entries: LogEntry, name: str | None = "Bokning & tider") -> bytes:
    """Return the document that hands over entries."""
    logs = tuple(
        log_from_entry(entry, system_id=SYSTEM, system_name=name) for entry in entries
    )
    return write_request(
        CONTRACT, Request(logs=logs), logical_address=ADDRESS, actor=None
    )


def parts(document: bytes) -> list[etree._Element]:
    """Return the elements of the header and the body."""
    return [element for part in etree.fromstring(document) for element in part]


@settings(max_examples=examples(60), deadline=None)
@given(
    entries=st.lists(ENTRIES, min_size=1, max_size=10),
    name=st.none() | st.just("Bokning & tider"),
)
def test_any_request_is_valid(
    entries: list[LogEntry], name: str | None, validate_log: Validate
) -> None:
    """Any entries make a valid message: its header and its body."""
    document = document_of(*entries, name=name)

    assert [validate_log(element) for element in parts(document)] == [[], []]


def test_a_request_is_as_recorded(recorded: Recorded, canonical: Canonical) -> None:
    """It has the employee, the assignment, the patient and us, and no header Actor."""
    assert canonical(document_of(log_entry())) == canonical(
        recorded("store_log/StoreLog.whole.request")
    )


def test_the_recording_is_valid(recorded: Recorded, validate_log: Validate) -> None:
    """The recording keeps to the schemas."""
    document = recorded("store_log/StoreLog.whole.request")

    assert [validate_log(element) for element in parts(document)] == [[], []]


def test_a_request_reads_back(recorded: Recorded) -> None:
    """A producer reads what a consumer wrote."""
    call = read_call(recorded("store_log/StoreLog.whole.request"))

    assert read_request(CONTRACT, call) == Request(
        logs=(
            log_from_entry(
                log_entry(), system_id=SYSTEM, system_name="Bokning & tider"
            ),
        )
    )


def test_a_coordination_number_has_its_own_root() -> None:
    """The OID of the patient's identifier says which register it belongs to."""
    entry = log_entry(patient=PersonalIdentityNumber("197010632391"))

    roots = [element.text for element in parts(document_of(entry))[1].iter("{*}root")]

    assert roots == ["1.2.752.129.2.1.3.3"]


@pytest.mark.parametrize("code", ["OK", "INFO", "ERROR", "VALIDATION_ERROR"])
def test_a_response_is_valid_and_reads_back(code: str, validate_log: Validate) -> None:
    """So does the answer of the sandbox's receiver."""
    response = Response(result=ResultType(result_code=code, result_text="Text"))

    document = write_response(CONTRACT, response)

    assert [validate_log(element) for element in parts(document)] == [[]]
    assert read_response(CONTRACT, document) == ContractAnswer(response=response)


def test_a_response_without_a_result_is_malformed() -> None:
    """Nobody takes silence for a yes."""
    document = write_response(CONTRACT, Response(result=ResultType(result_code="OK")))
    cut = document.replace(b"OK", b"")

    with pytest.raises(MalformedElement):
        read_response(CONTRACT, cut)


def test_a_time_is_written_with_its_offset() -> None:
    """In October's repeated hour, the two times differ."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    written = [
        log_from_entry(
            LogEntry(
                id=str(UUID(int=1)),
                activity=LogActivity.READ,
                at=first + timedelta(hours=hours),
                staff=NURSE,
                patient=log_entry().patient,
            ),
            system_id=SYSTEM,
            system_name=None,
        ).activity.start_date
        for hours in (0, 1)
    ]

    assert written == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
