"""
A gateway that stops: kept connections end in order, and behind nginx nobody notices.
"""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import pytest
from web.bodies import COVID_VACCINATION

from fhir_gateway.bootstrap import Program
from fhir_gateway.settings import Settings

from .ports import free_port

pytestmark = pytest.mark.flow

_SEARCH: Final = f"/fhir/Slot?service-type={COVID_VACCINATION}&_count=2"
_FORM: Final = f"service-type={COVID_VACCINATION}&_count=2"
_STARTS_WITHIN_S: Final = 60.0
_RUNNING: Final = Path(__file__).parents[2] / "docs" / "running.md"


@pytest.fixture(name="own_folder")
def _own_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rolling-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(name="environment")
def _environment(
    settings: Settings,
    redis_url: str,
    own_folder: Path,
    made: Program,  # noqa: ARG001 - has filled Redis
) -> dict[str, str]:
    return {
        **os.environ,
        "FHIR_GATEWAY_SOURCES": str(settings.sources),
        "FHIR_GATEWAY_DATA_DIR": str(own_folder),
        "REDIS_URL": redis_url,
    }


@contextmanager
def gateway(
    environment: dict[str, str],
    port: int,
    *,
    drains_for_s: int,
    output: IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a gateway that answers, and kill it in the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fhir_gateway", "serve"],
        env={
            **environment,
            "PORT": str(port),
            "FHIR_GATEWAY_DRAINS_FOR_S": str(drains_for_s),
        },
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        # A group of its own, as a supervisor gives it.
        start_new_session=True,
    )
    try:
        await_that(lambda: status_of(port, "GET", "/health") == 200, process)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(60)


def await_that(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until something holds of a process that starts."""
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while not holds():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def status_of(port: int, method: str, path: str, body: str | None = None) -> int:
    """Return the status of an answer; 0 where there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def answer_on(connection: http.client.HTTPConnection, path: str) -> tuple[int, bool]:
    """Return the status of an answer, and whether it ends the connection."""
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status, response.getheader("Connection") == "close"


def test_a_kept_connection_ends_with_an_answer(environment: dict[str, str]) -> None:
    """While it drains, a gateway answers, says so, and closes with the answer."""
    port = free_port()
    with gateway(environment, port, drains_for_s=5) as process:
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        before = answer_on(kept, _SEARCH)
        process.terminate()
        deadline = time.monotonic() + 4
        while status_of(port, "GET", "/health") != 503:
            assert time.monotonic() < deadline
        last = answer_on(kept, _SEARCH)
        anew = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        fresh = answer_on(anew, _SEARCH)
        code = process.wait(30)
        after = status_of(port, "GET", "/health")

    assert (before, last, fresh) == ((200, False), (200, True), (200, True))
    assert (code, after) == (0, 0)


def web_processes(main: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that the main process has started."""
    children = Path(f"/proc/{main.pid}/task/{main.pid}/children")
    return [int(number) for number in children.read_text(encoding="ascii").split()]


def is_running(process: int) -> bool:
    """Return whether a process is there, and not only waited for."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("times", [1, 2])
def test_a_whole_group_drains(
    environment: dict[str, str], own_folder: Path, times: int
) -> None:
    """SIGTERM to all processes at once, also twice as `timeout` does, only drains."""
    port = free_port()
    with (
        (own_folder / "output").open("wb") as output,
        gateway(environment, port, drains_for_s=5, output=output) as process,
    ):
        before = web_processes(process)
        for _ in range(times):
            os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 4
        while status_of(port, "GET", "/health") != 503:
            assert time.monotonic() < deadline
        began = time.monotonic()
        answers = set()
        while time.monotonic() < began + 2:
            answers.add(status_of(port, "GET", _SEARCH))
        meanwhile = web_processes(process)
        code = process.wait(30)

    assert (answers, meanwhile, code) == ({200}, before, 0)
    assert "Unexpected" not in (own_folder / "output").read_text(encoding="utf-8")


def test_a_whole_group_that_is_interrupted_stops_at_once(
    environment: dict[str, str], own_folder: Path
) -> None:
    """SIGINT to all processes at once, as Ctrl-C is, ends them without a complaint."""
    port = free_port()
    with (
        (own_folder / "output").open("wb") as output,
        gateway(environment, port, drains_for_s=60, output=output) as process,
    ):
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(30)

    assert code == 0
    assert "Unexpected" not in (own_folder / "output").read_text(encoding="utf-8")


def test_a_web_process_without_its_main_process_can_be_stopped(
    environment: dict[str, str],
) -> None:
    """When the main process was killed, SIGTERM ends the web process itself."""
    port = free_port()
    with gateway(environment, port, drains_for_s=0) as process:
        (left,) = web_processes(process)
        process.kill()
        process.wait(10)
        os.kill(left, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while is_running(left):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert status_of(port, "GET", "/health") == 0


def test_a_gateway_that_starts_stops_at_once(environment: dict[str, str]) -> None:
    """A SIGTERM while a web process loads the application is not lost."""
    with subprocess.Popen(
        [sys.executable, "-m", "fhir_gateway", "serve"],
        env={
            **environment,
            "PORT": str(free_port()),
            "FHIR_GATEWAY_DRAINS_FOR_S": "0",
        },
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            await_that(lambda: bool(web_processes(process)), process)
            process.terminate()
            code = process.wait(20)
        finally:
            process.kill()

    assert code == 0


def test_a_first_search_misses_nothing(environment: dict[str, str]) -> None:
    """A gateway that answers at all knows what Redis knows."""
    port = free_port()
    with gateway(environment, port, drains_for_s=0):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", _SEARCH)
        body = connection.getresponse().read()
        connection.close()

    assert b'"total":' in body


@contextmanager
def nginx(folder: Path, port: int, upstreams: list[int]) -> Iterator[None]:
    """Run nginx as docs/running.md says, with other ports."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed: no rolling restart behind it")
    text = _RUNNING.read_text(encoding="utf-8")
    found = re.search(r"```nginx\n(.*?)```", text, re.DOTALL)
    assert found is not None
    block = found[1].replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    for name, upstream in zip(("8081", "8082"), upstreams, strict=True):
        block = block.replace(f"127.0.0.1:{name}", f"127.0.0.1:{upstream}")
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"{'user root;' if os.geteuid() == 0 else ''}\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{block}}}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    )
    try:
        deadline = time.monotonic() + 10
        while not status_of(port, "GET", "/health"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(10)


def test_a_rolling_restart_behind_nginx_loses_nothing(
    environment: dict[str, str], own_folder: Path
) -> None:
    """Every search, by GET and by POST, is answered 200 while both are replaced."""
    ports = [free_port(), free_port()]
    front = free_port()
    statuses: Counter[int] = Counter()
    done = threading.Event()

    def search(method: str) -> None:
        kept: http.client.HTTPConnection | None = None
        while not done.is_set():
            kept = kept or http.client.HTTPConnection("127.0.0.1", front, timeout=30)
            try:
                if method == "GET":
                    kept.request("GET", _SEARCH)
                else:
                    kept.request(
                        "POST",
                        "/fhir/Slot/_search",
                        _FORM,
                        {"Content-Type": "application/x-www-form-urlencoded"},
                    )
                response = kept.getresponse()
                response.read()
                statuses[response.status] += 1
            except (OSError, http.client.HTTPException):
                statuses[0] += 1
                kept = None
            # Longer than nginx keeps a connection now and then, shorter mostly.
            done.wait(0.01)
        if kept is not None:
            with suppress(OSError):
                kept.close()

    with ExitStack() as stack:
        running = [
            stack.enter_context(gateway(environment, port, drains_for_s=5))
            for port in ports
        ]
        stack.enter_context(nginx(own_folder, front, ports))
        clients = [
            threading.Thread(target=search, args=(method,))
            for method in ("GET", "GET", "POST", "POST")
        ]
        for client in clients:
            client.start()
        for process, port in zip(running, ports, strict=True):
            process.terminate()
            process.wait(60)
            stack.enter_context(gateway(environment, port, drains_for_s=0))
        done.set()
        for client in clients:
            client.join()

    assert statuses.keys() == {200}
    assert statuses[200] > 100
