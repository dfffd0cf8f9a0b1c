"""
The README, done as a newcomer does it: the demo, and every curl line against it.
"""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from .ports import free_port
from .running_demo import Demo, running_demo

pytestmark = pytest.mark.flow

_README: Final = Path(__file__).parents[2] / "README.md"


def run(demo: Demo, block: str, **variables: str) -> str:
    """Return what a block of the README prints against a demo."""
    script = block.replace(":8080/", f":{demo.port}/").replace(
        ":8090/", f":{demo.sandbox_port}/"
    )
    return subprocess.run(
        ["bash", "-euc", script],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout.decode()


@pytest.fixture(name="demo", scope="module")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
    # Interrupted, it says so and leaves nothing behind: both ports are free again.
    assert demo.process.returncode == 0
    assert "The demo has stopped." in demo.output.read_text(encoding="utf-8")
    for each in (demo.port, demo.sandbox_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", each))


@pytest.fixture(name="blocks", scope="module")
def _blocks() -> list[str]:
    """Return the README's blocks that ask something, in their order."""
    found = re.findall(r"```sh\n(.*?)```", _README.read_text("utf-8"), re.DOTALL)
    return [block for block in found if "curl" in block]


def test_the_lines_of_the_readme_do_what_it_says(demo: Demo, blocks: list[str]) -> None:
    """Searched, booked, in the ledger exactly once, listed, and cancelled."""
    search, login, book, ledger, find, listing, cancel = blocks
    token = run(demo, f'{login}echo "$TOKEN"').strip()

    bundle = json.loads(run(demo, search))
    head, _, body = run(demo, book, TOKEN=token).replace("\r\n", "\n").partition("\n\n")
    appointment = json.loads(body)
    region = appointment["meta"]["source"].rpartition("/")[2]
    reported = json.loads(run(demo, ledger.replace("/norr", f"/{region}")))
    proposed = json.loads(run(demo, find))
    listed = json.loads(run(demo, listing, TOKEN=token))
    slot = appointment["slot"][0]["reference"].removeprefix("Slot/")
    cancelled = json.loads(run(demo, cancel, SLOT=slot, TOKEN=token))

    starts = [
        each["resource"]["start"]
        for each in bundle["entry"]
        if each["search"]["mode"] == "match"
    ]
    assert len(starts) == 20
    assert starts == sorted(starts)
    assert head.startswith("HTTP/1.1 201 ")
    assert (appointment["status"], appointment["comment"]) == ("booked", "Andra dosen")
    number = appointment["identifier"][0]["value"]
    made = [each for each in reported["writes"] if each["booking_id"] == number]
    assert [(each["interaction"], each["done"]) for each in made] == [
        ("MakeBooking", True)
    ]
    assert appointment["id"] in {each["resource"].get("id") for each in listed["entry"]}
    assert {each["resource"]["status"] for each in proposed["entry"]} == {"proposed"}
    assert (cancelled["id"], cancelled["status"]) == (appointment["id"], "cancelled")


def test_a_port_in_use_is_one_clear_line(demo: Demo) -> None:
    """A second demo on the same port says which setting to change."""
    second = subprocess.run(
        [sys.executable, "-m", "fhir_gateway", "demo"],
        env={**os.environ, "PORT": str(demo.port)},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert second.returncode == 1
    assert second.stderr.decode() == (
        f"fhir-gateway: port {demo.port} of 127.0.0.1 is in use by another program,"
        " perhaps another gateway; stop it, or choose another port with PORT=…\n"
    )


def _second_demo(demo: Demo, **ports: str) -> subprocess.Popen[str]:
    """Start a demo in the same data folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "fhir_gateway", "demo", "--slots", "300"],
        env={
            **os.environ,
            **ports,
            "FHIR_GATEWAY_DATA_DIR": str(demo.output.parent),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_second_demo_with_other_ports_leaves_the_first_alone(demo: Demo) -> None:
    """Two demos of one data folder run side by side, each in a folder of its own."""
    folder = demo.output.parent / f"demo-{demo.port}"
    before = {path for path in folder.iterdir() if path.suffix != ".sqlite-wal"}
    port, sandbox_port = str(free_port()), str(free_port())
    with _second_demo(demo, PORT=port, SANDBOX_PORT=sandbox_port) as second:
        assert second.stdout is not None
        welcomed = any("The gateway answers" in line for line in second.stdout)
        second.send_signal(signal.SIGINT)
        second.communicate(timeout=60)

    assert welcomed
    assert second.returncode == 0
    assert before <= set(folder.iterdir())
    assert run(demo, "curl -s http://127.0.0.1:8080/health") == '{"status":"ok"}'


def test_a_second_demo_never_wipes_the_folder_of_the_first(demo: Demo) -> None:
    """A demo in another demo's folder says so in one line and removes nothing."""
    port, sandbox_port = str(free_port()), str(free_port())
    folder = demo.output.parent / f"demo-{port}"
    folder.mkdir()
    (folder / "theirs").touch()
    with folder.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _second_demo(demo, PORT=port, SANDBOX_PORT=sandbox_port) as second:
            said, _ = second.communicate(timeout=60)

    assert second.returncode == 1
    assert said == (
        f"fhir-gateway: another demo runs in {folder}: stop it, or choose other ports"
        " with PORT=… and SANDBOX_PORT=…\n"
    )
    assert (folder / "theirs").exists()
