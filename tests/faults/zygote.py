"""
A process that has everything imported, and forks the gateway's processes in no time.

It has no threads, opens nothing, and reads one JSON object a line:

    {"start": {…}}              fork a process; `Part` says what it is
    {"signal": [pid, number]}   send a signal, to a process it forked that lives

and writes `{"started": pid}`, `{"ready": pid}` and `{"ended": pid, "status": …}`. When
the process that started it is gone, so are all of its processes.
"""

import json
import os
import select
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from faults.crash_points import watch_commits, watch_http, watched_app
from faults.mutants import MUTANTS
from faults.scaled_time import ScaledTime
from fhir_gateway.bootstrap import program
from fhir_gateway.log import configure_logging
from fhir_gateway.settings import Settings

__all__ = ["main"]


def main() -> None:
    """Fork what is asked for until standard input ends."""
    alive: set[int] = set()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    pending = b""
    while True:
        ready, _, _ = select.select([0, reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
            _bury(alive)
        if 0 not in ready:
            continue
        part = os.read(0, 65_536)
        if not part:
            break
        pending += part
        *lines, pending = pending.split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "start" in order:
                pid = _fork(order["start"])
                alive.add(pid)
                _say({"started": pid})
            elif order["signal"][0] in alive:
                os.kill(*order["signal"])
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    for pid in alive:
        os.waitpid(pid, 0)


def _bury(alive: set[int]) -> None:
    while alive:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        alive.discard(pid)
        _say({"ended": pid, "status": status})


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _fork(part: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(part["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    try:
        _run(part)
    except BaseException:  # noqa: BLE001 - the zygote's own loop must never go on here
        traceback.print_exc()
    finally:
        os._exit(1)


def _run(part: dict[str, Any]) -> None:
    os.environ.update(part["environment"])
    configure_logging()
    clock = ScaledTime(Path(part["clock"]))
    settings = Settings.from_environment(os.environ)
    mutant = MUTANTS[part["mutant"]]
    mutant.prepare(clock)
    watch_commits()
    watch_http()
    with program(
        settings, part["redis_url"], clock=clock, make_journal=mutant.journal
    ) as made:
        with suppress(Exception):
            made.view.catch_up()
        made.view.start()
        if made.identity is not None:
            made.identity.start()
        if part["role"] == "reconciler":
            _say({"ready": os.getpid()})
            if made.index.delivery is not None:
                threading.Thread(
                    target=made.index.delivery.run,
                    args=(threading.Event(),),
                    daemon=True,
                ).start()
            made.reconciliation.run(threading.Event())
            return
        server = make_server(
            "127.0.0.1",
            settings.port,
            watched_app(made.app),
            threaded=True,
            request_handler=_QuietHandler,
        )
        _say({"ready": os.getpid()})
        server.serve_forever(poll_interval=60)


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing: the program's own server logs no request either."""


if __name__ == "__main__":
    sys.exit(main())
