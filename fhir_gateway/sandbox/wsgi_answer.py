"""
Lets a WSGI application (PEP 3333) answer a request that `http.server` has read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from io import BytesIO, StringIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit
from wsgiref.types import WSGIApplication

from werkzeug.test import run_wsgi_app

__all__ = ["WsgiAnswer", "wsgi_answer"]

_OWN: Final = frozenset({"content-length", "content-type", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WsgiAnswer:
    """What an application answers."""

    status: int
    content_type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def wsgi_answer(
    application: WSGIApplication,
    method: str,
    target: str,
    headers: Message,
    body: bytes,
) -> WsgiAnswer:
    """
    Return the answer of an application.

    Args:
        application: The application.
        method: As `POST`.
        target: The path with the query.
        headers: Those of the request; repeated ones are joined with commas.
        body: The whole body.
    """
    parts = urlsplit(target)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": parts.query,
        # The application knows its own URL.
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **_header_variables(headers),
    }
    chunks, status, answered = run_wsgi_app(application, environ, buffered=True)
    return WsgiAnswer(
        status=int(status.split(" ", 1)[0]),
        content_type=answered.get("Content-Type", "text/plain"),
        headers=tuple(
            (name, value) for name, value in answered if name.lower() not in _OWN
        ),
        body=b"".join(chunks),
    )


def _header_variables(headers: Message) -> Mapping[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.items():
        # A name with an underscore would pass for one with a hyphen.
        if "_" in name or name.lower() in _OWN:
            continue
        variable = f"HTTP_{name.upper().replace('-', '_')}"
        joined[variable] = (
            f"{joined[variable]},{value}" if variable in joined else value
        )
    return joined
