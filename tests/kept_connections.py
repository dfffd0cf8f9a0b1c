"""
A transport that keeps its connections, as many HTTP clients do.

It stands for a careless program, to see that the tests notice the harm.
"""

import weakref
from collections.abc import Mapping

import requests

from fhir_gateway.rivta.transport import Reply, Transport

__all__ = ["KeptConnections"]


class KeptConnections(Transport):
    """
    Posts over one session: connections and cookies are kept, 103 is an answer.

    Args:
        status: What every answer's status is taken for; None to take it as it is.
    """

    def __init__(self, *, status: int | None = None) -> None:
        super().__init__()
        self._session = requests.Session()
        # Nobody closes a transport: none of the program's keeps a connection.
        weakref.finalize(self, self._session.close)
        self._status = status

    def post(
        self,
        url: str,
        document: bytes,
        headers: Mapping[str, str],
        *,
        timeout: float,
        most_bytes: int,  # noqa: ARG002 - a careless program has no limit
    ) -> Reply:
        """Send a document and return what comes."""
        answer = self._session.post(
            url, data=document, headers=dict(headers), timeout=timeout
        )
        return Reply(status=self._status or answer.status_code, body=answer.content)
