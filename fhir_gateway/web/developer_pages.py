"""
What a client developer opens first: `/`, `/docs` and `/openapi.json`.

All that the pages need is served here: Swagger UI from the installed package, and
nothing from elsewhere.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import flask_swagger_ui
import orjson
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import NotFound

from fhir_gateway import VERSION

__all__ = ["DESCRIPTION", "PAGES", "add_developer_pages"]

DESCRIPTION: Final = "Free times and bookings of the Swedish regions, as FHIR R4"

PAGES: Final = frozenset({"/", "/docs"})
"""The paths of the pages: only they may run scripts and have styles."""

_OPENAPI: Final = "/openapi.json"
_PAGE: Final = "text/html"
# A program that accepts anything gets the first.
_FORMS: Final = ("application/json", _PAGE)
_HOLDS: Final = "public, max-age=3600"
_OF_SWAGGER_UI: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_OWN: Final = {"style.css": "text/css", "start.js": "text/javascript"}


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file that a page needs."""

    content: bytes
    content_type: str


def add_developer_pages(
    app: Flask, places: Mapping[str, str], openapi: Mapping[str, Any]
) -> None:
    """
    Add the routes of the pages.

    Args:
        app: The application.
        places: URLs by name, for `/`.
        openapi: The OpenAPI document.
    """
    about = {
        "name": "fhir-gateway",
        "version": VERSION,
        "description": DESCRIPTION,
        **places,
    }
    in_json = _Asset(
        orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
        "application/json",
    )
    document = _Asset(orjson.dumps(dict(openapi)), "application/json")
    assets = _assets()

    def index() -> Response:
        if request.accept_mimetypes.best_match(_FORMS) != _PAGE:
            return Response(in_json.content, content_type=in_json.content_type)
        return _page(
            "index.html", places=places, description=DESCRIPTION, version=VERSION
        )

    def asset(name: str) -> Response:
        found = assets.get(name)
        if found is None:
            raise NotFound
        return _kept(found)

    app.add_url_rule("/", "index", index)
    app.add_url_rule("/docs", "docs", lambda: _page("docs.html"))
    app.add_url_rule("/docs/<name>", "docs asset", asset)
    app.add_url_rule(_OPENAPI, "openapi", lambda: _kept(document))


def _page(template: str, **values: object) -> Response:
    return Response(
        render_template(template, **values), content_type="text/html; charset=utf-8"
    )


def _kept(asset: _Asset) -> Response:
    """Return a file that a client may keep, or 304 when it has it."""
    answer = Response(asset.content, content_type=asset.content_type)
    answer.headers["Cache-Control"] = _HOLDS
    answer.set_etag(hashlib.blake2b(asset.content, digest_size=12).hexdigest())
    answer.make_conditional(request.environ)
    return answer


def _assets() -> dict[str, _Asset]:
    return {
        name: _Asset(folder.joinpath(name).read_bytes(), f"{kind}; charset=utf-8")
        for folder, kinds in (
            (files(flask_swagger_ui).joinpath("dist"), _OF_SWAGGER_UI),
            (files("fhir_gateway.web").joinpath("assets"), _OWN),
        )
        for name, kind in kinds.items()
    }
