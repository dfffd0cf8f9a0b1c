"""
The sandbox's log service, asked by the real adapter.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from log_entries import NURSE, log_entry

from fhir_gateway.adapters.store_log import StoreLog20, log_service_options
from fhir_gateway.model.errors import GatewayError, SourceFault
from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.log_entry import LogActivity, LogResult
from fhir_gateway.rivta.envelope import CONTENT_TYPE, write_request
from fhir_gateway.rivta.store_log_2_0.store_log import CONTRACT, Request
from fhir_gateway.sandbox.server import SandboxServer

TIMEOUT_S = 10
# What a client sees when the answer does not arrive, whether it was stored or not.
LOST = [
    *("refuse", "hang", "drop-before-processing", "deliver-nothing", "vp-fault"),
    *("wrong-status", "drop-after-processing"),
]


@pytest.fixture(name="service")
def _service(server: SandboxServer, tmp_path: Path) -> StoreLog20:
    path = tmp_path / "log.toml"
    path.write_text(
        f'endpoint = "{server.url}/rivta/log"\nsystem_id = "SE2321000016-GW"\n',
        encoding="utf-8",
    )
    return StoreLog20(log_service_options(path))


def ledger(server: SandboxServer) -> dict[str, Any]:
    """Return what the service has."""
    found: dict[str, Any] = requests.get(
        f"{server.url}/ledger/log", timeout=TIMEOUT_S
    ).json()
    return found


def add_fault(server: SandboxServer, **rule: object) -> requests.Response:
    """Make calls fail."""
    return requests.post(f"{server.url}/faults/log", json=rule, timeout=TIMEOUT_S)


def received(server: SandboxServer) -> dict[str, int]:
    """Return how many times each entry came."""
    return {each["log_id"]: each["received"] for each in ledger(server)["entries"]}


def test_an_entry_is_stored(server: SandboxServer, service: StoreLog20) -> None:
    """The ledger shows all that was written."""
    result = service.store([log_entry(activity=LogActivity.READ)])

    assert result is LogResult.STORED
    assert ledger(server) == {
        "receiver": "log",
        "results": ["OK"],
        "entries": [
            {
                "log_id": log_entry().id,
                "system_id": "SE2321000016-GW",
                "activity_type": "Läsa",
                "start_date": "2027-03-01T09:30:15+01:00",
                "purpose": "Vård och behandling",
                "user_id": NURSE.hsa_id,
                "assignment": NURSE.assignment,
                "care_provider_id": NURSE.provider,
                "care_unit_id": NURSE.unit,
                "patients": ["191212121212"],
                "received": 1,
            }
        ],
    }


def test_a_repeat_is_stored_once(server: SandboxServer, service: StoreLog20) -> None:
    """The same entry with the same id changes nothing."""
    results = [service.store([log_entry()]) for _ in range(3)]

    assert results == [LogResult.STORED] * 3
    assert received(server) == {log_entry().id: 3}


def test_a_changed_entry_is_refused(server: SandboxServer, service: StoreLog20) -> None:
    """An id belongs to one entry."""
    service.store([log_entry()])

    result = service.store([replace(log_entry(), activity=LogActivity.READ)])

    assert (result, received(server)) == (LogResult.INVALID, {log_entry().id: 1})


def test_one_wrong_entry_refuses_the_message(
    server: SandboxServer, service: StoreLog20
) -> None:
    """The service stores all entries of a message or none."""
    result = service.store([log_entry(), replace(log_entry(2), id="2")])

    assert (result, received(server)) == (LogResult.INVALID, {})


@pytest.mark.parametrize("kind", LOST)
def test_a_fault_is_no_yes(
    server: SandboxServer, service: StoreLog20, kind: str
) -> None:
    """The adapter raises; the second time the service answers."""
    add_fault(server, fault=kind, count=1, seconds=0)

    with pytest.raises(GatewayError):
        service.store([log_entry()])

    assert service.store([log_entry()]) is LogResult.STORED


@pytest.mark.parametrize(
    ("rule", "times"),
    [
        ({"fault": "hang", "seconds": 0}, 0),
        ({"fault": "drop-before-processing"}, 0),
        ({"fault": "drop-after-processing"}, 1),
        ({"fault": "vp-fault"}, 0),
        ({"fault": "vp-fault", "after": True}, 1),
        ({"fault": "wrong-status"}, 0),
        ({"fault": "wrong-status", "after": True}, 1),
        ({"fault": "deliver-nothing"}, 0),
        ({"fault": "deliver-nothing", "after": True}, 1),
    ],
    ids=str,
)
def test_a_fault_stores_as_it_says(
    server: SandboxServer, service: StoreLog20, rule: dict[str, object], times: int
) -> None:
    """Some faults lose the message, others the answer."""
    add_fault(server, **rule)

    with pytest.raises(GatewayError):
        service.store([log_entry()])

    assert sum(received(server).values()) == times


@pytest.mark.parametrize("kind", ["answer-twice", "early-hints", "set-cookie", "info"])
def test_a_fault_of_the_transfer_is_a_yes(
    server: SandboxServer, service: StoreLog20, kind: str
) -> None:
    """An answer that arrives whole counts, and only for its own message."""
    add_fault(server, fault=kind, count=1)

    assert service.store([log_entry()]) is LogResult.STORED
    add_fault(server, fault="error", count=1)
    assert service.store([log_entry(2)]) is LogResult.FAILED


@pytest.mark.parametrize(
    ("rule", "result"),
    [
        ({}, LogResult.FAILED),
        ({"code": "ERROR"}, LogResult.FAILED),
        ({"code": "VALIDATION_ERROR"}, LogResult.INVALID),
        ({"code": "ACCESSDENIED"}, LogResult.DENIED),
    ],
    ids=str,
)
def test_the_service_refuses_on_request(
    server: SandboxServer,
    service: StoreLog20,
    rule: dict[str, str],
    result: LogResult,
) -> None:
    """The result code of the rule, and nothing is stored."""
    add_fault(server, fault="error", **rule)

    assert (service.store([log_entry()]), received(server)) == (result, {})


@pytest.mark.parametrize(
    "rule",
    [{"fault": "empty"}, {"fault": "error", "interactions": ["MakeBooking"]}],
    ids=str,
)
def test_a_rule_of_a_region_is_refused(
    server: SandboxServer, rule: dict[str, object]
) -> None:
    """The log service has one interaction, which lists nothing."""
    assert add_fault(server, **rule).status_code == 400


def test_a_message_without_an_entry_is_refused(service: StoreLog20) -> None:
    """The schema requires one."""
    with pytest.raises(SourceFault, match="VP015"):
        service.store([])


def test_an_id_that_is_no_uuid_is_refused(
    server: SandboxServer, service: StoreLog20
) -> None:
    """It breaks no schema, so it is a result and no fault."""
    result = service.store([replace(log_entry(), id="1")])

    assert (result, ledger(server)["results"]) == (
        LogResult.INVALID,
        ["VALIDATION_ERROR"],
    )


def test_another_action_is_refused(server: SandboxServer) -> None:
    """The header SOAPAction must name the contract."""
    document = write_request(
        CONTRACT, Request(), logical_address=LogicalAddress("A"), actor=None
    )

    answer = requests.post(
        f"{server.url}/rivta/log",
        data=document,
        headers={"Content-Type": CONTENT_TYPE, "SOAPAction": "other"},
        timeout=TIMEOUT_S,
    )

    assert (answer.status_code, "SOAPAction" in answer.text) == (500, True)


def test_the_index_names_the_log_service(server: SandboxServer) -> None:
    """GET / says where it is."""
    data = requests.get(f"{server.url}/", timeout=TIMEOUT_S).json()

    assert data["log_service"] == {
        "endpoint": f"{server.url}/rivta/log",
        "ledger": f"{server.url}/ledger/log",
        "faults": f"{server.url}/faults/log",
    }
