"""
An HTTP server with a thread for each connection, which can end all of them at once.
"""

import logging
import socket
import socketserver
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

__all__ = ["StoppableHttpServer"]

_LOG: Final = logging.getLogger(__name__)

_LAST_ANSWERS_S: Final = 5.0


class StoppableHttpServer(ThreadingHTTPServer):
    """
    An HTTP server.

    Args:
        address: Where to listen.
        handler: Answers the requests of a connection.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]
    ) -> None:
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind the address."""
        # The method of HTTPServer asks the resolver for the host's name, which is not
        # needed.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Answer a connection in a thread of its own, and remember it."""
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Close a connection, and forget it."""
        super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - socketserver's own parameters
        """Log where the sandbox itself failed; a client may disconnect."""
        error = sys.exc_info()[1]
        if error is None or isinstance(error, OSError):
            return
        # Without message and trace: both may quote the request.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        _LOG.error(
            "sandbox failed: %s at %s:%s",
            type(error).__name__,
            frame.name,
            frame.lineno,
        )

    def close_connections(self) -> None:
        """End the threads that wait for a client, and wait until they have ended."""
        with self._changed:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
            self._changed.wait_for(lambda: not self._connections, _LAST_ANSWERS_S)
