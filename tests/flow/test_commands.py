"""
The real commands: `fhir-gateway serve` and `fhir-gateway worker`, and their Redis.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from web.bodies import COVID_VACCINATION, FHIR_JSON, PERSONNUMMER, appointment
from web.running import REGIONS

from fhir_gateway.settings import Settings

from .ports import free_port

pytestmark = pytest.mark.flow

_SEARCH: Final = f"Slot?service-type={COVID_VACCINATION}&_count=500"
_ANSWERS_WITHIN_S: Final = 60.0


@contextmanager
def command(name: str, environment: dict[str, str], log: Path) -> Iterator[int]:
    """Run a command of fhir-gateway while this lasts; give its process id."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhir_gateway", name],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def await_all_regions(base: str) -> dict[str, Any]:
    """Return the first searchset that has every region's times and misses nothing."""
    deadline = time.monotonic() + _ANSWERS_WITHIN_S
    bundle: dict[str, Any] = {}
    while time.monotonic() < deadline:
        try:
            bundle = requests.get(f"{base}/{_SEARCH}", timeout=5).json()
        except requests.RequestException:
            bundle = {}
        if bundle.get("total"):
            return bundle
        time.sleep(0.1)
    raise AssertionError(bundle.get("entry", "no answer"))


@pytest.fixture(name="base")
def _base(settings: Settings) -> Iterator[str]:
    """Give the FHIR base of a gateway with real processes only."""
    folder = Path(tempfile.mkdtemp(prefix="served-"))
    port = free_port()
    environment = {
        **os.environ,
        "FHIR_GATEWAY_SOURCES": str(settings.sources),
        "FHIR_GATEWAY_DATA_DIR": str(folder),
        "PORT": str(port),
    }
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.enter_context(command("serve", environment, folder / "serve.log"))
        stack.enter_context(command("worker", environment, folder / "worker.log"))
        yield f"http://127.0.0.1:{port}/fhir"


def test_the_commands_search_book_and_cancel(base: str, number: str) -> None:
    """Served for real, every region's times are found, booked, found and cancelled."""
    bundle = await_all_regions(base)
    slots = {
        entry["resource"]["meta"]["source"].rpartition("/")[2]: entry["resource"]["id"]
        for entry in reversed(bundle["entry"])
    }
    assert set(slots) == set(REGIONS)

    for slot in slots.values():
        booked = requests.post(
            f"{base}/Appointment",
            json=appointment(slot, number),
            headers={"Content-Type": FHIR_JSON},
            timeout=30,
        )
        assert booked.status_code == 201
        read = requests.get(booked.headers["Location"], timeout=30)
        assert read.json()["status"] == "booked"
    found = requests.post(
        f"{base}/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}"},
        timeout=30,
    ).json()
    appointments = [
        entry["resource"]
        for entry in found["entry"]
        if entry["search"]["mode"] == "match"
    ]
    assert len(appointments) == 3
    for each in appointments:
        cancelled = requests.put(
            f"{base}/Appointment/{each['id']}",
            json=each | {"status": "cancelled"},
            headers={"Content-Type": FHIR_JSON},
            timeout=30,
        )
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
