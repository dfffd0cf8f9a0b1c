"""
The server that is measured, with its own floor: a bare route of any size.
"""

from flask import Flask, Response

from fhir_gateway import wsgi

__all__ = ["application"]


def application() -> Flask:
    """Return the gateway's application with the route `/floor/SIZE`."""
    app = wsgi.application()
    constants: dict[int, bytes] = {}

    def floor(size: int) -> Response:
        constant = constants.setdefault(size, b"x" * size)
        return Response(constant, content_type="application/fhir+json;charset=utf-8")

    app.add_url_rule("/floor/<int:size>", "floor", floor)
    return app
