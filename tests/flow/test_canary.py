"""
One resident and one token go through real processes: nothing of them stays behind.

`tests/web/test_privacy.py` and `test_privacy_of_tokens.py` send much more, within one
process; this file looks at what only whole processes have.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from processes import children_of, wait_until
from redis import Redis
from web.test_privacy import value_of

from .ports import free_port

pytestmark = pytest.mark.flow

_STARTS_WITHIN_S: Final = 90.0
# One of the residents of the sandbox; no file of the demo has the number.
_PERSON: Final = "other-resident"
NUMBER: Final = "198112189876"
COMMENT: Final = "Hemligaste anledningen"


@dataclass
class Demo:
    """A running demo, and how a resident uses it."""

    folder: Path
    pid: int
    port: int
    sandbox_port: int
    token: str = ""
    answers: list[requests.Response] = field(default_factory=list)

    @property
    def base(self) -> str:
        """Return the FHIR base."""
        return f"http://127.0.0.1:{self.port}/fhir"

    @property
    def data(self) -> Path:
        """Return the demo's own folder."""
        return self.folder / f"demo-{self.port}"

    def log_in(self, person: str) -> None:
        """Use a token of a person from now on."""
        url = f"http://127.0.0.1:{self.sandbox_port}/issuer/demo-token"
        self.token = requests.post(url, data={"as": person}, timeout=20).text.strip()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Ask with the token; keep the answer, and return its JSON."""
        given = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        answer = requests.request(
            method, self.base + path, headers=given, timeout=30, **options
        )
        self.answers.append(answer)
        return answer.json()

    def slots(self) -> list[str]:
        """Return the ids of some free slots."""
        found = requests.get(
            f"{self.base}/Slot?status=free&_count=5&service-type=72791000052103",
            timeout=30,
        ).json()
        return [
            each["resource"]["id"]
            for each in found["entry"]
            if each["search"]["mode"] == "match"
        ]

    def marks(self) -> list[str]:
        """Return what must be nowhere."""
        _, payload, signature = self.token.split(".")
        parted = f"{NUMBER[:8]}-{NUMBER[8:]}"
        return [NUMBER, NUMBER[2:], parted, COMMENT, payload, signature]

    def found(self, content: bytes) -> list[str]:
        """Return the marks that some bytes hold."""
        return [mark for mark in self.marks() if mark.encode() in content]


@pytest.fixture(name="demo", scope="module")
def _demo() -> Iterator[Demo]:
    # The socket of Redis needs a short path.
    with tempfile.TemporaryDirectory(prefix="canary-") as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        ports = free_port(), free_port()
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fhir_gateway", "demo", "--slots", "2000"],
                env={
                    **os.environ,
                    "FHIR_GATEWAY_DATA_DIR": str(folder),
                    "TMPDIR": str(folder / "tmp"),
                    "PORT": str(ports[0]),
                    "SANDBOX_PORT": str(ports[1]),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        demo = Demo(folder, process.pid, *ports)
        try:
            assert wait_until(
                lambda: b"The gateway answers" in (folder / "output").read_bytes(),
                _STARTS_WITHIN_S,
            )
            use(demo)
            yield demo
        finally:
            process.terminate()
            process.wait(60)


def use(demo: Demo) -> None:
    """Book, read, list, cancel, hold and fail as a resident."""
    demo.log_in(_PERSON)
    first, second, third, *_ = demo.slots()
    body = {
        "resourceType": "Appointment",
        "status": "proposed",
        "comment": COMMENT,
        "contained": [
            {
                "resourceType": "Patient",
                "id": "p",
                "name": [{"family": "Markörsson", "given": ["Provia"]}],
            }
        ],
        "participant": [
            {
                "status": "accepted",
                "actor": {
                    "reference": "#p",
                    "type": "Patient",
                    "identifier": {
                        "system": "http://electronichealth.se/identifier/personnummer",
                        "value": NUMBER,
                    },
                },
            }
        ],
    }

    def with_slot(slot: str) -> str:
        return json.dumps({**body, "slot": [{"reference": f"Slot/{slot}"}]})

    fhir = {"Content-Type": "application/fhir+json"}
    keyed = fhir | {"Idempotency-Key": f"key-of-{COMMENT[:8]}"}
    patient = f"http://electronichealth.se/identifier/personnummer|{NUMBER}"
    made = demo.ask("POST", "/Appointment", data=with_slot(first), headers=keyed)
    demo.ask("POST", "/Appointment", data=with_slot(first), headers=keyed)
    demo.ask("GET", f"/Appointment/{made['id']}")
    demo.ask("POST", "/Appointment/_search", data={"patient.identifier": patient})
    demo.ask("POST", "/AuditEvent/_search", data={"patient.identifier": patient})
    held = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "appointment", "resource": json.loads(with_slot(second))}
        ],
    }
    demo.ask("POST", "/Appointment/$hold", data=json.dumps(held), headers=fhir)
    patch = [
        {"op": "replace", "path": "/status", "value": "cancelled"},
        {"op": "add", "path": "/cancelationReason", "value": {"text": COMMENT}},
    ]
    demo.ask(
        "PATCH",
        f"/Appointment/{made['id']}",
        data=json.dumps(patch),
        headers={"Content-Type": "application/json-patch+json"},
    )
    for path in (
        f"/Appointment?patient={NUMBER}",
        f"/Appointment/{NUMBER}",
        f"/Slot?x={COMMENT}&access_token={demo.token}",
    ):
        demo.ask("GET", path)
    demo.ask("POST", "/Appointment", data=with_slot(third)[:-1], headers=fhir)
    demo.ask("POST", "/Appointment", data=with_slot("x" + NUMBER), headers=fhir)


def test_the_resident_was_served(demo: Demo) -> None:
    """What this file looks for was sent, stored and shown."""
    statuses = [answer.status_code for answer in demo.answers]

    assert {200, 201, 400} <= set(statuses)
    assert NUMBER in "".join(answer.text for answer in demo.answers)


def test_no_file_holds_the_resident(demo: Demo) -> None:
    """Logs of every part, journal and WAL, and temporary files."""
    files = [path for path in demo.folder.rglob("*") if path.is_file()]
    held = {
        path.relative_to(demo.folder).as_posix(): found
        for path in files
        if (found := demo.found(path.read_bytes()))
    }

    assert {"serve.log", "worker.log", "journal.sqlite", "journal.sqlite-wal"} <= {
        path.name for path in files
    }
    assert held == {}


def test_redis_does_not_hold_the_resident(demo: Demo) -> None:
    """Neither a key nor a value."""
    with Redis(unix_socket_path=str(demo.data / "redis.sock")) as redis:
        stored = [(key, value_of(redis, key)) for key in redis.scan_iter()]

    assert len(stored) > 10
    assert [key for key, value in stored if demo.found(key + value)] == []


def test_no_process_shows_the_resident(demo: Demo) -> None:
    """Titles, environments and names of threads, as every `ps` can show them."""
    shown = {}
    for pid in children_of(demo.pid) | {demo.pid}:
        process = Path("/proc") / str(pid)
        names = [each / "comm" for each in (process / "task").iterdir()]
        parts = [process / "cmdline", process / "environ", *names]
        shown[pid] = b"".join(part.read_bytes() for part in parts)

    assert len(shown) > 5
    assert [pid for pid, text in shown.items() if demo.found(text)] == []


def test_no_error_repeats_the_resident(demo: Demo) -> None:
    """Nor does any answer's header."""
    refused = [each for each in demo.answers if each.status_code >= 400]

    assert len(refused) > 3
    assert [each.text for each in refused if demo.found(each.content)] == []
    assert not any(demo.found(str(each.headers).encode()) for each in demo.answers)
