"""
OPTIONS: what a URL allows (RFC 9110, 9.3.7), and which patches (RFC 5789, 3.1).

It says nothing of a resource, not even whether there is one, and needs no token.
"""

from flask import Response, current_app, request

from fhir_gateway.web.exchange import PATCH_TYPES

__all__ = ["options"]


def options() -> Response | None:
    """Return the answer to OPTIONS; None for another method, or where nothing is."""
    if request.method != "OPTIONS" or request.url_rule is None:
        return None
    response: Response = current_app.make_default_options_response()
    # It has no body.
    del response.headers["Content-Type"]
    if "PATCH" in response.allow:
        response.headers["Accept-Patch"] = ", ".join(PATCH_TYPES)
    return response
