"""
The web server: Granian, with the options that all of this program's serving shares.

docs/adr/0015-web-server.md says why this one, and why so.
"""

import ctypes
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from multiprocessing.sharedctypes import RawValue
from threading import Timer
from types import FrameType
from typing import Any, Final

import structlog
from flask import Response
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from fhir_gateway.http_front import Answer, HttpFront
from fhir_gateway.services.fault_place import fault_place
from fhir_gateway.settings import Settings
from fhir_gateway.web.app import HEALTHY, GatewayApp
from fhir_gateway.web.errors import from_bug, overloaded
from fhir_gateway.web.request_head import HEALTH

__all__ = ["serve_http"]

_log = structlog.get_logger()

_HEAD_WITHIN_MS: Final = 30_000
_MOST_CONNECTIONS: Final = 4096
_STOPS_WITHIN_S: Final = 45

# glibc's M_ARENA_MAX.
_ARENA_MAX: Final = -8
_ARENAS: Final = 2

_HEALTHY: Final = Answer(
    status=200, headers=[("Content-Type", "application/json")], body=HEALTHY
)

# A balancer sends nothing new to a process that says so.
_DRAINING: Final = Answer(
    status=503,
    headers=[("Content-Type", "application/json")],
    body=b'{"status":"draining"}',
)

Running = Callable[[], AbstractContextManager[GatewayApp]]


def serve_http(settings: Settings, running: Running) -> None:
    """
    Answer with a WSGI application until interrupted.

    After SIGTERM it goes on for `settings.drains_for_s`, and closes each connection
    with its answer; after a second one, or SIGINT, it stops at once. What has begun is
    answered in any case.

    Args:
        settings: Where to listen, with how many processes and threads.
        running: Gives the application, in each process, while that runs; a function of
            a module.
    """
    # Shared with the web processes.
    draining = RawValue(ctypes.c_bool, False)  # noqa: FBT003 - ctypes knows no keywords
    _DrainingServer(
        # Only a name: `target_loader` makes the application.
        "fhir_gateway",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.processes,
        loop=Loops.uvloop,
        # With HTTP/2 allowed, a connection that says nothing at all is kept for ever.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_WITHIN_MS),
        # Connections of one process, not requests: half-sent ones count.
        backpressure=_MOST_CONNECTIONS,
        log_level=LogLevels.error,
        # Never an access log: a URL may hold what a client should not have put there.
        log_access=False,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOPS_WITHIN_S,
        draining=draining,
        drains_for_s=settings.drains_for_s,
    ).serve(
        target_loader=partial(_front, running, settings.threads, draining),
        wrap_loader=False,
    )


class _DrainingServer(MPServer):
    """Granian, which by itself stops listening at once, with idle connections open."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - Granian's
        draining: "ctypes.c_bool",
        drains_for_s: int,
        **options: Any,  # noqa: ANN401 - Granian's
    ) -> None:
        super().__init__(*arguments, **options)
        self._draining = draining
        self._drains_for_s = drains_for_s

    def signal_handler_interrupt(self, number: int, frame: FrameType | None) -> None:
        """Drain, and stop after that; stop at once when there is no time for it."""
        stop = partial(super().signal_handler_interrupt, number, frame)
        is_in_haste = number != signal.SIGTERM or self._draining.value
        if is_in_haste or not self._drains_for_s:
            stop()
            return
        self._draining.value = True
        timer = Timer(self._drains_for_s, stop)
        timer.daemon = True
        timer.start()


def _front(running: Running, threads: int, draining: "ctypes.c_bool") -> HttpFront:
    _share_arenas()
    stack = ExitStack()
    try:
        app = stack.enter_context(running())
    except Exception as error:  # noqa: BLE001 - a traceback may quote a secret
        _log.error("web process cannot start", **fault_place(error))
        sys.exit(1)
    return HttpFront(
        app,
        close=stack.close,
        threads=threads,
        handling=app.handling,
        ready={HEALTH: _HEALTHY},
        ready_while_draining={HEALTH: _DRAINING},
        is_draining=lambda: draining.value,
        busy=lambda: _answer(overloaded()),
        failed=lambda error: _answer(from_bug(error)),
    )


def _answer(response: Response) -> Answer:
    return Answer(
        status=response.status_code,
        headers=list(response.headers),
        body=response.get_data(),
    )


def _share_arenas() -> None:
    """Let the threads of this process share their free memory."""
    # glibc gives most of them an arena of their own, which keeps what an answer of a
    # quarter of a megabyte once took. Other C libraries have no such function.
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_ARENA_MAX, _ARENAS)
