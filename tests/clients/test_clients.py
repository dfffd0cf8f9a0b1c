"""
What clients that this project did not write can do with the gateway, step by step.

`docs/clients.md` shows the result: this module writes it when FHIR_CLIENTS_WRITE is
set, and otherwise compares it.
"""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pytest
import requests
from flow.ports import free_port
from flow.running_demo import Demo, running_demo

from .client import FOLDER, running_client
from .installed import MissingProgram, chromium, hapi_command, node_command
from .steps import COVID_VACCINATION, Visit, proposed, take_steps
from .table import DOCUMENT, Done, document, without_browser

pytestmark = pytest.mark.flow

_UNIT: Final = "SE2321009901-1002"
_SLOTS_OF_A_CLIENT: Final = 7
_FILLED_WITHIN_S: Final = 60.0


class _Resident(NamedTuple):
    """A ready-made person of the demo's issuer."""

    name: str
    number: str


_RESIDENT: Final = _Resident("resident", "191212121212")
_OTHER_RESIDENT: Final = _Resident("other-resident", "198112189876")


def _python(name: str) -> list[str]:
    return [sys.executable, str(FOLDER / "python" / f"with_{name}.py")]


_CLIENTS: Final = {
    "fhir-kit-client": lambda: node_command("fhir_kit_client"),
    "@medplum/core": lambda: node_command("medplum"),
    "fhirclient (npm)": lambda: node_command("fhirclient"),
    "fhirpy": lambda: _python("fhirpy"),
    "fhirclient (PyPI)": lambda: _python("fhirclient"),
    "HAPI": hapi_command,
    "a page in Chromium": lambda: [
        "env",
        f"CHROMIUM={chromium()}",
        *_python("browser"),
    ],
}


@dataclass(slots=True)
class World:
    """
    A demo, and what the clients could do with it.

    Attributes:
        environment: What a client's process needs to know.
        taken: A slot of another resident.
        slots: Free slots that no client has got yet.
        done: What each client could do.
    """

    environment: dict[str, str]
    taken: str
    slots: list[str]
    done: dict[str, Done] = field(default_factory=dict)


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    page_port = str(free_port())
    origin = f"http://127.0.0.1:{page_port}"
    with running_demo(
        tmp_path_factory.mktemp("clients"),
        slots=6000,
        more={"FHIR_GATEWAY_CORS_ORIGINS": origin},
    ) as demo:
        _await_all_times(demo)
        slots = _free_slots(demo)
        taken = slots.pop()
        _take(demo, taken)
        token = _token(demo, _RESIDENT.name)
        environment = {
            **os.environ,
            "BASE_URL": demo.base_url,
            "TOKEN": token,
            "PAGE_PORT": page_port,
        }
        yield World(environment, taken, slots)


def _await_all_times(demo: Demo) -> None:
    """Wait until the worker has read all regions, so that a search has a total."""
    deadline = time.monotonic() + _FILLED_WITHIN_S
    query = {"_summary": "count"}
    while "total" not in _get(demo, "Slot", query):
        assert time.monotonic() < deadline, _get(demo, "Slot", query)
        time.sleep(0.1)


def _get(demo: Demo, path: str, query: dict[str, str]) -> Any:
    answer = requests.get(f"{demo.base_url}/{path}", params=query, timeout=10)
    return answer.json()


def _token(demo: Demo, name: str) -> str:
    answer = requests.post(
        f"{demo.issuer_url}/demo-token", data={"as": name}, timeout=10
    )
    return answer.text.strip()


def _free_slots(demo: Demo) -> list[str]:
    """Return the ids of free slots of one unit, where bookings can be moved."""
    query = {
        "service-type": COVID_VACCINATION,
        "schedule.actor:Location": _UNIT,
        "_count": "100",
    }
    found = _get(demo, "Slot", query)
    return [each["resource"]["id"] for each in found["entry"]]


def _take(demo: Demo, slot: str) -> None:
    """Book a slot for another resident."""
    answer = requests.post(
        f"{demo.base_url}/Appointment",
        json=proposed(slot, _OTHER_RESIDENT.number),
        headers={"Authorization": f"Bearer {_token(demo, _OTHER_RESIDENT.name)}"},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("name", _CLIENTS)
def test_a_foreign_client_does_each_step_that_it_offers(
    world: World, name: str
) -> None:
    """A client that this project did not write can do all that it has calls for."""
    try:
        command = _CLIENTS[name]()
    except MissingProgram as error:
        pytest.skip(str(error))
    slots = [world.slots.pop() for _ in range(_SLOTS_OF_A_CLIENT)]
    with running_client(command, world.environment) as client:
        visit = Visit(
            client=client, number=_RESIDENT.number, slots=slots, taken=world.taken
        )
        world.done[name] = Done(client.version, done := take_steps(visit))

    failed = [f"{step}: {each.why}" for step, each in done.items() if each.why]
    assert not failed, "\n".join(failed)


def test_the_documents_say_what_each_client_can_do(world: World) -> None:
    """`docs/clients.md` is what the clients did just now."""
    if world.done.keys() != _CLIENTS.keys():
        pytest.skip("not all clients ran here")
    text = document(world.done)
    if "FHIR_CLIENTS_WRITE" in os.environ:
        DOCUMENT.write_text(text, encoding="utf-8")

    written = DOCUMENT.read_text(encoding="utf-8")
    assert without_browser(written) == without_browser(text)
