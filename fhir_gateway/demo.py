"""
The demo: sandbox regions, Redis, worker and gateway, each a process of its own.
"""

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import requests

from fhir_gateway.child_process import ChildProcess
from fhir_gateway.configured_stores import make_data_folder
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.listening import CannotListen, listening_address
from fhir_gateway.model.private_file import opener
from fhir_gateway.sandbox_sources import (
    COVID_VACCINATION,
    SYSTEM_ID,
    write_engagement_index,
    write_issuers,
    write_log_service,
    write_sources,
)
from fhir_gateway.settings import Settings, url_host
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.web.process_notification import NOTIFICATION_PATH

__all__ = ["DemoFailed", "run_demo"]

_LOOPBACK: Final = "127.0.0.1"
_CALL_S: Final = 5
_ANSWERS_WITHIN_S: Final = 45.0
_STOPS_WITHIN_S: Final = 10.0
# Vera Provsson of the population register, who is `parent` at the issuer.
_RESIDENT: Final = "199201172385"
_ORDERS: Final[Sequence[tuple[str, Mapping[str, object]]]] = (
    ("norr", {"time_type": "covid", "in_days": 7, "by_telephone": True}),
    ("mitt", {"time_type": "covid", "in_days": 10, "by_telephone": True}),
    ("syd", {"time_type": "covid", "in_days": 12, "by_telephone": True}),
    ("norr", {"time_type": "lakare", "in_days": 14, "purpose": "Återbesök."}),
    ("syd", {"time_type": "dsk"}),
)
# How long the demo prints nothing during its start.
_SILENT_FOR_S: Final = 3.0


class DemoFailed(Exception):
    """The demo cannot run; the message is one line that says what to do."""


def run_demo(settings: Settings, *, slots: int, say: Callable[[str], None]) -> None:
    """
    Run sandbox, Redis, worker and gateway until interrupted; leave nothing behind.

    They end with this process, also when it is killed.

    Args:
        settings: The ports; the demo has its own values for the other settings.
        slots: About how many free times the regions have together.
        say: Prints a line for the user.

    Raises:
        CannotListen: A port is taken, may not be used, or is to be used twice.
        DemoFailed: A part ended or did not answer in time.
        UnusableFolder: The data folder cannot be made.
    """
    address = _check_ports(settings)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with _own_folder(settings) as folder:
        _run_parts(settings, address, folder, slots, stop, say)
    say("The demo has stopped.")


@contextmanager
def _own_folder(settings: Settings) -> Iterator[Path]:
    """
    Return a context with an empty folder for this demo alone; lock it.

    It is named after the port, so that demos with other ports in the same data folder
    have their own. The lock is beside the folder, since this context removes the
    contents of the folder.

    Raises:
        DemoFailed: Another demo has the folder.
        UnusableFolder: The data folder cannot be made.
    """
    folder = settings.data_dir / f"demo-{settings.port}"
    make_data_folder(settings)
    with open(folder.with_suffix(".lock"), "ab", opener=opener) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(
                f"another demo runs in {folder}: stop it, or choose other ports with"
                " PORT=… and SANDBOX_PORT=…"
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        yield folder


def _run_parts(  # noqa: PLR0917 - one caller, and all different
    settings: Settings,
    address: str,
    folder: Path,
    slots: int,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Start all parts in a folder, report when they answer, and wait for the end."""
    sandbox_url = f"http://127.0.0.1:{settings.sandbox_port}"
    sources = write_sources(
        folder,
        sandbox_url,
        slots,
        Vocabulary(settings.canonical_base),
        is_behind_platform=True,
    )
    with EmbeddedRedis(folder) as redis:
        environment = {
            **os.environ,
            "FHIR_GATEWAY_SOURCES": str(sources),
            "FHIR_GATEWAY_LOG_SERVICE": str(write_log_service(folder, sandbox_url)),
            "FHIR_GATEWAY_ENGAGEMENT_INDEX": str(
                write_engagement_index(folder, sandbox_url)
            ),
            "FHIR_GATEWAY_ISSUERS": str(
                write_issuers(folder, sandbox_url, settings.base_url)
            ),
            "FHIR_GATEWAY_MANDATES": f"{sandbox_url}/mandates",
            # The sandbox's index reports its certificate as a proxy would.
            "FHIR_GATEWAY_TRUSTED_PROXIES": _LOOPBACK,
            "FHIR_GATEWAY_PUBLIC_SEARCH": "yes",
            "FHIR_GATEWAY_OPEN_DEMO": "no",
            "FHIR_GATEWAY_DATA_DIR": str(folder),
            "REDIS_URL": redis.url,
            "FHIR_GATEWAY_DRAINS_FOR_S": "0",
        }
        environment.pop("DATABASE_URL", None)
        parts: dict[str, ChildProcess] = {}
        try:
            say("Starting the sandbox's regions, the worker and the gateway …")
            parts["sandbox"] = _start(
                ["sandbox", "--slots", str(slots)], environment, folder
            )
            parts["serve"] = _start(["serve"], environment, folder)
            began = time.monotonic()
            # Before the worker asks for free times: these are free no more.
            _book_for_resident(sandbox_url, folder, parts, stop)
            parts["worker"] = _start(["worker"], environment, folder)
            total = _await_slots(
                f"http://{url_host(address)}:{settings.port}", folder, parts, stop, say
            )
            if total is not None:
                _subscribe(
                    sandbox_url, f"http://{url_host(address)}:{settings.port}", folder
                )
                say(
                    _welcome(
                        settings, sandbox_url, folder, total, time.monotonic() - began
                    )
                )
            _watch(parts, folder, stop)
        finally:
            for part in parts.values():
                part.terminate()
            deadline = time.monotonic() + _STOPS_WITHIN_S
            for part in parts.values():
                part.end(max(0.1, deadline - time.monotonic()))


def _check_ports(settings: Settings) -> str:
    """
    Return the gateway's address.

    Raises:
        CannotListen: A port is taken, may not be used, or is to be used twice.
    """
    if settings.socket is not None:
        raise CannotListen(
            "FHIR_GATEWAY_HOST: the demo listens on an address; give one, such as"
            " 127.0.0.1",
            is_configuration=True,
        )
    if settings.port == settings.sandbox_port:
        raise CannotListen(
            f"PORT and SANDBOX_PORT are both {settings.port}: give them different ones",
            is_configuration=True,
        )
    address = listening_address(
        settings.host, settings.port, host_name="FHIR_GATEWAY_HOST", port_name="PORT"
    )
    listening_address(
        _LOOPBACK,
        settings.sandbox_port,
        host_name="FHIR_GATEWAY_HOST",
        port_name="SANDBOX_PORT",
    )
    return address


def _start(
    arguments: list[str], environment: Mapping[str, str], folder: Path
) -> ChildProcess:
    return ChildProcess(
        [sys.executable, "-m", "fhir_gateway", *arguments],
        log=folder / f"{arguments[0]}.log",
        environment=environment,
    )


def _book_for_resident(
    sandbox_url: str,
    folder: Path,
    parts: Mapping[str, ChildProcess],
    stop: threading.Event,
) -> None:
    """Wait for the regions, and let them book for and invite the demo's resident."""
    deadline = time.monotonic() + _ANSWERS_WITHIN_S
    waiting = list(_ORDERS)
    while waiting and not stop.is_set():
        _check_alive(parts, folder)
        region, order = waiting[0]
        body = orjson.dumps({"subject_of_care": _RESIDENT, **order})
        try:
            answer = requests.post(
                f"{sandbox_url}/invitations/{region}", body, timeout=_CALL_S
            )
            if not answer.ok:
                raise DemoFailed(
                    f"the sandbox books nothing: HTTP {answer.status_code}"
                )
            waiting.pop(0)
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"the sandbox does not answer: see {folder}/sandbox.log"
                ) from None
            stop.wait(0.1)


def _subscribe(sandbox_url: str, server: str, folder: Path) -> None:
    """Let the sandbox's engagement index notify the gateway."""
    subscriber = {
        "endpoint": f"{server}{NOTIFICATION_PATH}",
        "logical_address": SYSTEM_ID,
    }
    try:
        requests.put(
            f"{sandbox_url}/index",
            orjson.dumps({"subscribers": [subscriber]}),
            timeout=_CALL_S,
        ).raise_for_status()
    except requests.RequestException:
        raise DemoFailed(
            f"the sandbox's engagement index does not answer: see {folder}/sandbox.log"
        ) from None


def _await_slots(
    server: str,
    folder: Path,
    parts: Mapping[str, ChildProcess],
    stop: threading.Event,
    say: Callable[[str], None],
) -> int | None:
    """Wait until a search finds all slots; return how many there are."""
    url = f"{server}/fhir/Slot?service-type={COVID_VACCINATION.code}&_count=1"
    began = said = time.monotonic()
    deadline = began + _ANSWERS_WITHIN_S
    while not stop.is_set():
        _check_alive(parts, folder)
        try:
            answer = requests.get(url, timeout=_CALL_S)
            answer.raise_for_status()
            bundle = orjson.loads(answer.content)
            progress = "the gateway answers, and the worker still asks the regions"
        except requests.RequestException:
            bundle = {}
            progress = "the gateway and the regions' free times are being prepared"
        if bundle.get("total"):
            return int(bundle["total"])
        found = sum(
            each["search"]["mode"] == "match" for each in bundle.get("entry", ())
        )
        if time.monotonic() > deadline and found:
            # A region's part is missing; the search's answers report it.
            return int(found)
        if time.monotonic() > deadline:
            raise DemoFailed(
                f"no slots after {_ANSWERS_WITHIN_S:.0f} s: see the logs in {folder}"
            )
        if time.monotonic() - said > _SILENT_FOR_S:
            said = time.monotonic()
            say(f"  {said - began:.0f} s: {progress} …")
        stop.wait(0.25)
    return None


def _watch(
    parts: Mapping[str, ChildProcess], folder: Path, stop: threading.Event
) -> None:
    """Wait for an interruption, or for the end of the parent process."""
    parent = os.getppid()
    while not stop.wait(1.0):
        _check_alive(parts, folder)
        if os.getppid() != parent:
            return


def _check_alive(parts: Mapping[str, ChildProcess], folder: Path) -> None:
    for name, part in parts.items():
        code = part.exit_code()
        if code is not None:
            raise DemoFailed(
                f"{name} ended with exit code {code}: see {folder / name}.log"
            )


def _welcome(
    settings: Settings, sandbox_url: str, folder: Path, total: int, seconds: float
) -> str:
    base = settings.base_url
    return f"""
The gateway answers: {total} free times for covid-19 vaccination after {seconds:.0f} s.

  FHIR base        {base}
  Capabilities     {base}/metadata
  Regions          {sandbox_url}/
  Tokens           {sandbox_url}/issuer
  Ledgers          {sandbox_url}/ledger/norr (and mitt, syd; log, index, platform)
  Platform         {sandbox_url}/platform
  Logs             {folder}/*.log

Who has the earliest time for covid-19 vaccination?

  curl '{base}/Slot?service-type=http://snomed.info/sct|{COVID_VACCINATION.code}&status=free&_sort=start&_count=3'

A token to book with (others: {sandbox_url}/issuer):

  TOKEN=$(curl -s {sandbox_url}/issuer/demo-token -d as=resident)
  curl -H "Authorization: Bearer $TOKEN" {base}/Appointment/_search \\
    -d patient.identifier=http://electronichealth.se/identifier/personnummer%7C191212121212

What has a resident booked in three regions, and where is she invited?

  TOKEN=$(curl -s {sandbox_url}/issuer/demo-token -d as=parent)
  curl -H "Authorization: Bearer $TOKEN" {base}/Appointment

Who offers it?

  curl '{base}/HealthcareService?service-type={COVID_VACCINATION.code}&_count=3'

How do its sources stand?

  FHIR_GATEWAY_SOURCES={folder}/sources.toml FHIR_GATEWAY_DATA_DIR={folder} \\
    fhir-gateway sources

README.md shows how to book, move and cancel. Stop with Ctrl-C.
"""
