"""
The adapter for StoreLog 2.0, over every kind of answer.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import responses
from log_entries import log_entry

from fhir_gateway.adapters.store_log import (
    LogServiceOptions,
    StoreLog20,
    WrongLogService,
    log_service_options,
)
from fhir_gateway.model.errors import GatewayError, MalformedAnswer, SourceFault
from fhir_gateway.model.log_entry import LogResult

URL = "https://log.example.org/StoreLog"
LEAST = f"""
endpoint = "{URL}"
system_id = "SE2321000016-GW"
"""
ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body>
</s:Envelope>"""
RESPONSE = """
<StoreLogResponse xmlns="urn:riv:informationsecurity:auditing:log:StoreLogResponder:2"
    xmlns:l="urn:riv:informationsecurity:auditing:log:2">
  <result>{}</result>
</StoreLogResponse>"""
CODE = "<l:resultCode>{}</l:resultCode>"
FAULT = """<s:Fault><faultcode>s:Server</faultcode><faultstring>{}</faultstring>
</s:Fault>"""


def options(folder: Path, text: str = LEAST) -> LogServiceOptions:
    """Return the options of a file with that text."""
    path = folder / "log.toml"
    path.write_text(text, encoding="utf-8")
    return log_service_options(path)


@pytest.fixture(name="service")
def _service() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=True) as service:
        yield service


def stored(folder: Path, service: responses.RequestsMock, inner: str) -> LogResult:
    """Hand one entry to a service that answers with this inside its body."""
    service.post(URL, body=ENVELOPE.format(inner).encode())
    return StoreLog20(options(folder)).store([log_entry()])


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("OK", LogResult.STORED),
        ("INFO", LogResult.STORED),
        (" OK ", LogResult.STORED),
        ("VALIDATION_ERROR", LogResult.INVALID),
        ("ACCESSDENIED", LogResult.DENIED),
        ("ERROR", LogResult.FAILED),
        ("REPORT_ON_QUEUE", LogResult.FAILED),
        ("NOT OK", LogResult.FAILED),
        ("0", LogResult.FAILED),
    ],
)
def test_only_ok_and_info_mean_stored(
    tmp_path: Path, service: responses.RequestsMock, code: str, result: LogResult
) -> None:
    """Every other code means that nothing was stored."""
    inner = RESPONSE.format(CODE.format(code))

    assert stored(tmp_path, service, inner) is result


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param("", id="no body"),
        pytest.param(RESPONSE.format(""), id="no result code"),
        pytest.param(RESPONSE.format(CODE.format("")), id="an empty result code"),
        pytest.param(RESPONSE.format(CODE.format("OK") * 2), id="two result codes"),
        pytest.param(
            RESPONSE.format(CODE.format("OK") + CODE.format("ERROR")), id="yes and no"
        ),
        pytest.param(RESPONSE.format(CODE.format("OK")) * 2, id="two answers"),
        pytest.param(
            RESPONSE.format(CODE.format("OK")).replace("StoreLog", "DeleteLog"),
            id="the answer to another question",
        ),
        pytest.param(
            RESPONSE.format(CODE.format("OK")).replace("auditing", "crm"),
            id="another contract's answer",
        ),
        pytest.param(
            RESPONSE.format(CODE.format("OK") + FAULT.format("no")),
            id="a fault inside",
        ),
    ],
)
def test_what_cannot_be_read_is_no_yes(
    tmp_path: Path, service: responses.RequestsMock, inner: str
) -> None:
    """HTTP 200 with rubbish: the entry stays in the outbox."""
    with pytest.raises(MalformedAnswer):
        stored(tmp_path, service, inner)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, b"<html>OK</html>", id="a page"),
        pytest.param(200, b"OK", id="no XML"),
        pytest.param(200, b"", id="nothing"),
        pytest.param(
            202,
            ENVELOPE.format(RESPONSE.format(CODE.format("OK"))).encode(),
            id="accepted, not stored",
        ),
        pytest.param(
            500,
            ENVELOPE.format(RESPONSE.format(CODE.format("OK"))).encode(),
            id="OK under 500",
        ),
        pytest.param(
            500, ENVELOPE.format(FAULT.format("VP009 no answer")).encode(), id="fault"
        ),
        pytest.param(
            200, ENVELOPE.format(FAULT.format("VP007")).encode(), id="fault under 200"
        ),
        pytest.param(302, b"", id="a redirect"),
    ],
)
def test_only_an_answer_is_believed(
    tmp_path: Path, service: responses.RequestsMock, status: int, body: bytes
) -> None:
    """A fault, a page or another status than 200 is no yes."""
    service.post(URL, status=status, body=body)

    with pytest.raises(SourceFault):
        StoreLog20(options(tmp_path)).store([log_entry()])


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError(), requests.ReadTimeout(), requests.ConnectTimeout()],
    ids=lambda error: type(error).__name__,
)
def test_a_service_that_is_away_raises(
    tmp_path: Path, service: responses.RequestsMock, error: Exception
) -> None:
    """The error names neither the patient nor the employee."""
    service.post(URL, body=error)

    with pytest.raises(GatewayError) as raised:
        StoreLog20(options(tmp_path)).store([log_entry()])

    assert "SE2321009901" not in raised.value.for_operator
    assert "191212121212" not in raised.value.for_operator


def test_the_least_options_have_defaults(tmp_path: Path) -> None:
    """The WSDL names the logical address; our id is that of the consumer too."""
    found = options(tmp_path)

    assert (found.logical_address, found.consumer, found.timeout.total_seconds()) == (
        "SE165565594230-1000",
        "SE2321000016-GW",
        30,
    )


def test_all_faults_of_the_file_are_listed(tmp_path: Path) -> None:
    """One sentence each."""
    with pytest.raises(WrongLogService) as raised:
        options(
            tmp_path,
            'endpoint = "http://log.example.org"\nsystem_id = "å"\ntimeout_s = 61\n'
            'system_name = " "\nlevel = 1\n',
        )

    assert sorted(fault.split(": ")[0] for fault in raised.value.faults) == [
        *("endpoint", "level", "system_id", "system_name", "timeout_s")
    ]


@pytest.mark.parametrize("text", ["endpoint = ", "\ud800", ""], ids=repr)
def test_an_unusable_file_is_a_fault(tmp_path: Path, text: str) -> None:
    """No TOML, no UTF-8, nothing in it."""
    path = tmp_path / "log.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    with pytest.raises(WrongLogService):
        log_service_options(path)


def test_an_absent_file_is_a_fault(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(WrongLogService) as raised:
        log_service_options(tmp_path / "absent.toml")

    assert str(tmp_path / "absent.toml") in str(raised.value)
