"""
What stands between a program and PostgreSQL, and may do harm to their connections.
"""

import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

__all__ = ["PostgresqlProxy"]


class PostgresqlProxy:
    """
    Pass on what programs and PostgreSQL send; a subclass decides what to do with it.

    Args:
        socket_folder: Where the server has its socket.
    """

    def __init__(self, socket_folder: Path) -> None:
        self._upstream = str(socket_folder / ".s.PGSQL.5432")
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def url_of(self, url: str) -> str:
        """Return the URL of a database of the server, by way of this proxy."""
        name = url.partition("@/")[2].partition("?")[0]
        port = self._listener.getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}/{name}"

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def passes_on(
        self, part: bytes, *, to: socket.socket, server: socket.socket
    ) -> bool:
        """Pass a part on, to the server or from it; return whether to go on."""
        del server
        to.sendall(part)
        return True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(
                    target=self._serve, args=(client,), daemon=True
                ).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with client, server, suppress(OSError):
            server.connect(self._upstream)
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    part = source.recv(65_536)
                    to = client if source is server else server
                    if not part or not self.passes_on(part, to=to, server=server):
                        return
