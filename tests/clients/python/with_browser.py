"""
A page of another origin in Chromium: it asks by `fetch`, and CORS lets it.

`PAGE_PORT` is the port of the page's own server, and `CHROMIUM` the browser.
"""

import os
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright
from serve import BASE_URL, TOKEN, serve

_PORT: Final = int(os.environ["PAGE_PORT"])
_PAGE: Final = b"<!doctype html><title>A client</title>"
_FETCH: Final = """
async ([method, url, headers, body, token]) => {
    const answer = await fetch(url, {
        method,
        headers: { Authorization: `Bearer ${token}`, ...headers },
        body: body === null ? undefined : JSON.stringify(body),
    });
    return { status: answer.status, value: await answer.json() };
}
"""
_QUERY: Final = "(query) => new URLSearchParams(query).toString()"


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(f"status {answer['status']}")
        self.status = answer["status"]
        self.outcome = answer["value"]


class _OwnPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_: object) -> None:
        """Say nothing: standard output has the answers."""


def _verbs(page: Page) -> dict[str, Callable[..., Any]]:
    def ask(
        method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        url = path if path.startswith("http") else f"{BASE_URL}/{path}"
        typed = {} if body is None else {"Content-Type": "application/fhir+json"}
        answer = page.evaluate(
            _FETCH, [method, url, {**typed, **(headers or {})}, body, TOKEN]
        )
        if answer["status"] >= 400:
            raise Refused(answer)
        return answer["value"]

    def query(parameters: dict[str, str]) -> str:
        text: str = page.evaluate(_QUERY, parameters)
        return text

    def next_page(bundle: dict[str, Any]) -> Any:
        [url] = [each["url"] for each in bundle["link"] if each["relation"] == "next"]
        return ask("GET", url)

    def instance(resource: dict[str, Any]) -> str:
        return f"{resource['resourceType']}/{resource['id']}"

    return {
        "metadata": lambda: ask("GET", "metadata"),
        "search": lambda type_, given: ask("GET", f"{type_}?{query(given)}"),
        "next": next_page,
        "read": lambda type_, id_: ask("GET", f"{type_}/{id_}"),
        "vread": lambda type_, id_, version: ask(
            "GET", f"{type_}/{id_}/_history/{version}"
        ),
        "ask": lambda type_, name, given: ask("GET", f"{type_}/${name}?{query(given)}"),
        "call": lambda type_, name, body: ask("POST", f"{type_}/${name}", body),
        "create": lambda body: ask("POST", body["resourceType"], body),
        "createIfNone": lambda body, condition: ask(
            "POST", body["resourceType"], body, {"If-None-Exist": condition}
        ),
        "update": lambda body: ask("PUT", instance(body), body),
        "updateIf": lambda body, version: ask(
            "PUT", instance(body), body, {"If-Match": f'W/"{version}"'}
        ),
        "patch": lambda type_, id_, operations: ask(
            "PATCH",
            f"{type_}/{id_}",
            operations,
            {"Content-Type": "application/json-patch+json"},
        ),
        "batch": lambda bundle: ask("POST", "", bundle),
    }


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, Refused):
        return {"status": error.status, "outcome": error.outcome}
    return {}


with (
    ThreadingHTTPServer(("127.0.0.1", _PORT), _OwnPage) as server,
    sync_playwright() as playwright,
):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = playwright.chromium.launch(
        executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"]
    )
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{_PORT}/")
    serve("Chromium", browser.version, _verbs(page), _failure)
    browser.close()
    server.shutdown()
