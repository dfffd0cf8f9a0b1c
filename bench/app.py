"""
The server that is measured, with its own floor: a bare route of any size.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Response

from fhir_gateway import wsgi
from fhir_gateway.web.app import GatewayApp

__all__ = ["running"]


@contextmanager
def running() -> Iterator[GatewayApp]:
    """Give the gateway's application with the route `/floor/SIZE`."""
    with wsgi.running() as app:
        constants: dict[int, bytes] = {}

        def floor(size: int) -> Response:
            constant = constants.setdefault(size, b"x" * size)
            return Response(
                constant, content_type="application/fhir+json;charset=utf-8"
            )

        app.add_url_rule("/floor/<int:size>", "floor", floor)
        yield app
