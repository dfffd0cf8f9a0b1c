"""
The web server: Granian, with the options that all of this program's serving shares.
"""

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from fhir_gateway.settings import Settings

__all__ = ["serve_http"]


def serve_http(settings: Settings, target: str) -> None:
    """
    Answer with a WSGI application until interrupted.

    Args:
        settings: Where to listen, with how many processes and threads.
        target: What makes the application in each process, as `module:function`.
    """
    Granian(
        target,
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.processes,
        blocking_threads=settings.threads,
        log_level=LogLevels.error,
        # Never an access log: a URL may hold what a client should not have put there.
        log_access=False,
        websockets=False,
        respawn_failed_workers=True,
    ).serve()
