"""
The web server: Granian, with the options that the gateway and the sandbox share.

docs/adr/0015-web-server.md gives the reasons for Granian and for these options.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from multiprocessing.sharedctypes import RawValue
from threading import Thread, Timer
from types import FrameType
from typing import Any, Final

import structlog
from flask import Response
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from fhir_gateway.http_front import HttpFront, HttpResponse
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.settings import Settings
from fhir_gateway.web.app import HEALTHY, GatewayApp
from fhir_gateway.web.errors import from_bug, overloaded
from fhir_gateway.web.request_head import HEALTH

__all__ = ["serve_http"]

_log = structlog.get_logger()

_OWNER_AND_GROUP: Final = 0o660
_HEAD_WITHIN_MS: Final = 30_000
_MOST_CONNECTIONS: Final = 4096
_STOPS_WITHIN_S: Final = 45
_STOPPING: Final = frozenset({signal.SIGINT, signal.SIGTERM})
# `timeout` and others signal a process, and then once more its whole group.
_ONE_SIGNAL_S: Final = 1.0

# glibc's M_ARENA_MAX.
_ARENA_MAX: Final = -8
_ARENAS: Final = 2

_HEALTHY: Final = HttpResponse(
    status=200, headers=[("Content-Type", "application/json")], body=HEALTHY
)

# A load balancer sends nothing new to a process that answers this.
_DRAINING: Final = HttpResponse(
    status=503,
    headers=[("Content-Type", "application/json")],
    body=b'{"status":"draining"}',
)

Running = Callable[[], AbstractContextManager[GatewayApp]]


def serve_http(settings: Settings, running: Running) -> None:
    """
    Serve a WSGI application until interrupted.

    After SIGTERM it goes on for `settings.drains_for_s`, and closes each connection
    with its answer; after a second SIGTERM, or SIGINT, it stops at once. In either case
    it answers the requests that have begun. The web processes follow this one: where a
    supervisor signals all of them at once, none of them stops before the others.

    Args:
        settings: Where to listen, with how many processes and threads.
        running: Returns a context with the application, for each process; a function of
            a module.
    """
    # Shared with the web processes.
    draining = RawValue(ctypes.c_bool, False)  # noqa: FBT003 - ctypes knows no keywords
    _DrainingServer(
        # It is only a name: `target_loader` makes the application.
        "fhir_gateway",
        address=settings.host,
        port=settings.port,
        uds=settings.socket,
        # The proxy in front has its own user, and a group in common.
        uds_permissions=_OWNER_AND_GROUP,
        interface=Interfaces.ASGI,
        workers=settings.processes,
        loop=Loops.uvloop,
        # With HTTP/2 allowed, a silent connection stays open for ever.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_WITHIN_MS),
        # It counts the connections of one process, half-sent requests included.
        backpressure=_MOST_CONNECTIONS,
        log_level=LogLevels.error,
        # There is no access log: a client may have put personal data into a URL.
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
    """A Granian that drains; by itself it would stop listening at once."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - passed on to Granian, with the types there
        draining: "ctypes.c_bool",
        drains_for_s: int,
        **options: Any,  # noqa: ANN401 - passed on to Granian, with the types there
    ) -> None:
        super().__init__(*arguments, **options)
        self._draining = draining
        self._drains_for_s = drains_for_s
        self._drains_since = 0.0

    def signal_handler_interrupt(self, number: int, frame: FrameType | None) -> None:
        """Drain, then stop; stop at once when no time is left for draining."""
        stop = partial(super().signal_handler_interrupt, number, frame)
        is_draining = self._draining.value
        if number != signal.SIGTERM or not self._drains_for_s:
            stop()
            return
        if is_draining:
            if time.monotonic() - self._drains_since > _ONE_SIGNAL_S:
                stop()
            return
        self._drains_since = time.monotonic()
        self._draining.value = True
        timer = Timer(self._drains_for_s, stop)
        timer.daemon = True
        timer.start()

    def _spawn_worker(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on to Granian, with the types there
        is_ended = RawValue(ctypes.c_bool, False)  # noqa: FBT003 - ctypes knows no keywords
        options["callback_loader"] = partial(
            _following, options["callback_loader"], is_ended
        )
        process: Any = super()._spawn_worker(*arguments, **options)
        # Granian makes its own class, without an option for another.
        process.__class__ = _FollowingProcess
        process.is_ended = is_ended
        return process


class _FollowingProcess(WorkerProcess):
    """
    A web process that stops only when the main process ends it, or is gone.

    Attributes:
        is_ended: Whether the main process has ended it, or is gone; shared with the web
            process.
    """

    is_ended: "ctypes.c_bool"

    def start(self) -> None:
        """Start it with its signals blocked, until it can distinguish their senders."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            super().start()  # type: ignore[no-untyped-call] # Granian states no types here
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def terminate(self) -> None:
        """End it, once it has answered the requests that have begun."""
        self.is_ended.value = True
        super().terminate()  # type: ignore[no-untyped-call] # Granian states no types here


def _following(loader: Callable[[], HttpFront], is_ended: "ctypes.c_bool") -> HttpFront:
    """Return a web process's application; make the process follow the main one."""
    Thread(target=_follow, args=(is_ended,), name="follows", daemon=True).start()
    Thread(
        target=_end_with_main_process, args=(is_ended,), name="ends", daemon=True
    ).start()
    return loader()


def _follow(is_ended: "ctypes.c_bool") -> None:
    """Pass on a signal only when the main process has sent it, or is gone."""
    while True:
        number = signal.sigwait(_STOPPING)
        if is_ended.value:
            break
    _end(number)


def _end_with_main_process(is_ended: "ctypes.c_bool") -> None:
    """End this process when its main process is gone, also after `kill -9`."""
    main_process = multiprocessing.parent_process()
    if main_process is None:
        return
    main_process.join()
    is_ended.value = True
    _end(signal.SIGTERM)


def _end(number: int) -> None:
    """End this process, once it has answered the requests that have begun."""
    # All other threads block it, so that this one gets it; Granian's handler does the
    # rest.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    gives_up_at = time.monotonic() + _STOPS_WITHIN_S
    while time.monotonic() < gives_up_at:
        # More than once: Granian has its handler only after the application is loaded,
        # and until then a signal is lost.
        os.kill(os.getpid(), number)
        time.sleep(_ONE_SIGNAL_S)
    os._exit(1)


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
        common=app.answer_headers.fields,
    )


def _answer(response: Response) -> HttpResponse:
    return HttpResponse(
        status=response.status_code,
        headers=list(response.headers),
        body=response.get_data(),
    )


def _share_arenas() -> None:
    """Make the threads of this process share their free memory."""
    # glibc gives most of them an arena of their own, which never returns the memory of
    # an answer of a quarter of a megabyte. Other C libraries lack this function.
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_ARENA_MAX, _ARENAS)
