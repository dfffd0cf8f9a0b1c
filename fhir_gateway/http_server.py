"""
The web server: Granian, with the options that all of this program's serving shares.

docs/adr/0015-web-server.md says why this one, and why so.
"""

import ctypes
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Final

from flask import Response
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from fhir_gateway.fhir.limits import MOST_SENT_BACK_BYTES
from fhir_gateway.http_front import Answer, HttpFront
from fhir_gateway.settings import Settings
from fhir_gateway.web.app import HEALTHY, GatewayApp
from fhir_gateway.web.errors import from_bug, overloaded
from fhir_gateway.web.request_head import HEALTH

__all__ = ["serve_http"]

_HEAD_WITHIN_MS: Final = 30_000
_MOST_CONNECTIONS: Final = 4096
_STOPS_WITHIN_S: Final = 45

# glibc's M_ARENA_MAX.
_ARENA_MAX: Final = -8
_ARENAS: Final = 2

_HEALTHY: Final = Answer(
    status=200, headers=[("Content-Type", "application/json")], body=HEALTHY
)

Running = Callable[[], AbstractContextManager[GatewayApp]]


def serve_http(settings: Settings, running: Running) -> None:
    """
    Answer with a WSGI application until interrupted.

    Args:
        settings: Where to listen, with how many processes and threads.
        running: Gives the application, in each process, while that runs; a function of
            a module.
    """
    Granian(
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
    ).serve(target_loader=partial(_front, running, settings.threads), wrap_loader=False)


def _front(running: Running, threads: int) -> HttpFront:
    _share_arenas()
    stack = ExitStack()
    app = stack.enter_context(running())
    return HttpFront(
        app,
        close=stack.close,
        threads=threads,
        may_wait=app.may_wait,
        ready={HEALTH: _HEALTHY},
        busy=lambda: _answer(overloaded()),
        failed=lambda error: _answer(from_bug(error)),
        most_bytes=MOST_SENT_BACK_BYTES,
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
