"""
Nothing of a token, nor of the persons in it, is in a log, an error, Redis or a file.
"""

import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from fhir_gateway.sandbox_sources import write_log_service
from web.guarded import Guarded, issuers_file, served_keys, token_for
from web.running import OtherPrograms, fill, own_regions

from .bodies import FHIR_JSON, PERSONNUMMER, free_slots, patch, status_patch
from .dialects import call, parameters, resource
from .test_privacy import (
    COMMENT,
    NUMBER,
    OTHER_NUMBER,
    REGION_TEXT,
    Records,
    Resident,
    found,
    recorded,
    urls,
    value_of,
)

pytestmark = pytest.mark.flow

# As an issuer may name a user: by the personal number itself.
USER: Final = f"markorsubjekt-{NUMBER}"
NURSE: Final = "SE2321009901-9MARK"
PROGRAM: Final = "markorprogram"


class Tokens:
    """The tokens of this file, and the marks of all that they hold."""

    def __init__(self) -> None:
        self.resident = token_for(
            "resident", NUMBER, sub=USER, client_id=PROGRAM, name="Provia Markörsson"
        )
        self.staff = token_for("staff", sub=USER, employeeHsaId=NURSE)
        self.stranger = token_for("resident", OTHER_NUMBER, sub="other")
        self.expired = token_for("resident", NUMBER, exp=1_700_000_000)

    def marks(self) -> list[str]:
        """Return texts that stand for the tokens wherever they are."""
        parts = [
            part
            for token in (self.resident, self.staff, self.stranger, self.expired)
            for part in token.split(".")[1:]
        ]
        return [*parts, "markorsubjekt", "9MARK", PROGRAM]


def marked(text: str | bytes, tokens: Tokens) -> list[str]:
    """Return the marks of persons and tokens that a text or some bytes hold."""
    spoken = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return found(text) + [mark for mark in tokens.marks() if mark in spoken]


def live(guarded: Guarded, tokens: Tokens, records: Records) -> None:
    """Book, read, list and cancel with tokens, and send tokens where none belong."""

    def keep(response: TestResponse) -> Any:
        records.answers.append(response)
        return response.json

    for token in (tokens.resident, tokens.staff, tokens.stranger):
        client = guarded.with_token(token)
        resident = Resident(client, records)
        booked = resident.book("norr")
        identity = booked.get("id", "none")
        keep(client.get(f"/fhir/Appointment/{identity}"))
        keep(
            patch(
                client,
                identity,
                status_patch("cancelled", cancelationReason={"text": COMMENT}),
            )
        )
        resident.search()
        body = resident.body(next(free_slots(client, "norr"))["id"])
        keep(call(client, "hold", parameters(resource("appointment", body))))
        query = {"patient.identifier": f"{PERSONNUMMER}|{NUMBER}"}
        keep(client.post("/fhir/AuditEvent/_search", data=query))
        guarded.sandbox.spoil("norr", "error", text=REGION_TEXT)
        resident.book("norr")
        guarded.sandbox.heal()
    for answer in misused(guarded.made.app.test_client(), tokens):
        keep(answer)


def misused(client: FlaskClient, tokens: Tokens) -> Iterator[TestResponse]:
    """Yield the answers to requests that have tokens where none belong."""
    good = tokens.resident
    head, payload, signature = good.split(".")
    basic = b64encode(f"{NUMBER}:{COMMENT}".encode()).decode()
    for value in (
        *(f"Bearer {tokens.expired}", f"Bearer {good}x", f"bearer {good[:-1]}"),
        *(f"Bearer {head}.{payload}.", f"Bearer {payload}", f"Bearer {good} {good}"),
        *(f"Basic {basic}", f"DPoP {good}", good, f"Bearer {NUMBER}", f"Bearer {USER}"),
        *(f"Bearer {'A' * 9000}{signature}", f"Bearer {payload}.{payload}.{payload}"),
    ):
        raw = value.encode().decode("latin-1")
        for path in ("/fhir/Appointment/x", "/fhir/Slot?_count=0"):
            yield client.get(path, headers={"Authorization": raw})
    for name in ("X-Request-Id", "Idempotency-Key", "If-None-Exist", "If-Match"):
        yield client.post(
            "/fhir/Appointment",
            json={"resourceType": "Appointment", "comment": good},
            content_type=FHIR_JSON,
            headers={name: good, "Authorization": f"Bearer {tokens.stranger}"},
        )
    for path in (
        f"/fhir/Appointment?access_token={good}",
        f"/fhir/Slot?access_token={good}",
        f"/fhir/Appointment/{payload[:60]}",
        f"/fhir/{payload[:60]}?token={good}",
    ):
        yield client.get(path)
    yield client.post(
        "/fhir/Appointment/_search",
        data={"access_token": good, "patient.identifier": f"{PERSONNUMMER}|{NUMBER}"},
    )


def test_nothing_of_a_token_is_left_anywhere(
    other_programs: OtherPrograms,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Tokens and their persons are in no log, header, error, URL, Redis or file."""
    caplog.set_level(logging.DEBUG)
    tokens = Tokens()
    with recorded() as records, ExitStack() as stack:
        sandbox, sources = stack.enter_context(own_regions(tmp_path))
        made = stack.enter_context(
            other_programs.start(
                sources=sources,
                issuers=issuers_file(tmp_path, stack.enter_context(served_keys())),
                log_service=write_log_service(tmp_path, sandbox.server.url),
                public_search=True,
            )
        )
        fill(made)
        assert made.identity is not None
        made.identity.start()
        stack.callback(made.identity.stop)
        live(Guarded(made, sandbox), tokens, records)
        made.reconciliation.run_once()
        folder = other_programs.settings.data_dir / f"other-{other_programs.started}"
        url = f"{other_programs.redis_url}?db={1 + other_programs.started % 15}"
        with Redis.from_url(url) as redis:
            stored = [(key, value_of(redis, key)) for key in redis.scan_iter()]
        files = {
            path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
    captured = capfd.readouterr()

    statuses = {answer.status_code for answer in records.answers}
    assert {200, 201, 400, 401, 403, 404, 422} <= statuses
    # They would be found: what was booked is shown to the resident.
    assert NUMBER in found("".join(answer.text for answer in records.answers))
    assert {"journal.sqlite", "journal.sqlite-wal", "journal.key"} <= files.keys()
    for text in (records.text(), caplog.text, captured.out, captured.err):
        assert marked(text, tokens) == []
    for name, content in files.items():
        # The journal keeps which program asked, for statistics.
        known = [PROGRAM] if name.startswith("journal.sqlite") else []
        assert set(marked(content, tokens)) <= {*known}, name
    for key, value in stored:
        assert marked(key, tokens) == []
        assert marked(value, tokens) == []
    for answer in records.answers:
        assert marked(str(answer.headers), tokens) == []
        if answer.status_code >= 400:
            spoken = json.dumps(answer.json, ensure_ascii=False)
            assert marked(spoken.replace(REGION_TEXT, ""), tokens) == []
        for each in urls(answer.json):
            assert marked(each, tokens) == []
