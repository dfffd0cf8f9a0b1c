"""
What the dearest permitted request costs, in processor time and in memory.

Every parameter of every search and of `$find` is filled to its limits, alone and
together with large pages, bodies of JSON in every shape that is known to cost, and
texts of a URL, a form and a header in which the search for personal numbers looks
longest.

    python -m bench.dearest [SLOTS]
"""

import gc
import itertools
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Any, Final
from urllib.parse import quote

from flask import Flask

from bench.serving import filled
from bench.world import World
from fhir_gateway.bootstrap import program
from fhir_gateway.fhir.limits import (
    MOST_FORM_BYTES,
    MOST_HEADER_BYTES,
    MOST_JSON_BYTES,
    MOST_JSON_DEPTH,
    MOST_JSON_ITEMS,
    MOST_JSON_KEYS,
    MOST_PARAMETERS,
    MOST_SEARCH_VALUES,
    MOST_SENT_BACK_BYTES,
    MOST_TARGET_BYTES,
)
from fhir_gateway.model.number_text import has_number
from fhir_gateway.settings import Settings

__all__ = ["Request", "bodies", "cost_of", "searches", "texts_of_digits"]

_FORM: Final = "application/x-www-form-urlencoded"
_FHIR: Final = "application/fhir+json"
_PATCH: Final = "application/json-patch+json"
_MOST_MS: Final = 100.0
_MOST_MIB: Final = 10.0
_ROUNDS: Final = 3
_MEASURED: Final = 30
_SHOWN: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that may be dear."""

    name: str
    method: str
    path: str
    query: str = ""
    content_type: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a request costs: the least of some rounds, and the most memory at once."""

    name: str
    status: int
    cpu_ms: float
    peak_mib: float
    answer_bytes: int


def cost_of(app: Flask, request: Request) -> Cost:
    """Return what a request costs in this thread."""
    cpu_s, status, answer = min(_timed(app, request) for _ in range(_ROUNDS))
    gc.collect()
    tracemalloc.start()
    _asked(app, request)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Cost(
        name=request.name,
        status=status,
        cpu_ms=cpu_s * 1000,
        peak_mib=peak / 2**20,
        answer_bytes=answer,
    )


def _timed(app: Flask, request: Request) -> tuple[float, int, int]:
    began = time.thread_time()
    status, answer = _asked(app, request)
    return time.thread_time() - began, status, answer


def _asked(app: Flask, request: Request) -> tuple[int, int]:
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": request.content_type,
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{
            f"HTTP_{name.upper().replace('-', '_')}": value
            for name, value in request.headers
        },
    }
    status = 0

    def start(line: str, *_: object) -> Callable[[bytes], None]:
        nonlocal status
        status = int(line[:3])
        return lambda _: None

    answer = b"".join(app(environ, start))
    return status, len(answer)


def searches(world: World) -> Iterator[Request]:
    """Yield searches at their limits."""
    values = dict(_values(world))
    includes = (
        "_include=Slot:schedule&_include:iterate=Schedule:actor"
        "&_include:iterate=HealthcareService:location"
        "&_include:iterate=HealthcareService:organization"
        "&_include:iterate=Location:organization"
        "&_include:iterate=PractitionerRole:practitioner"
    )
    of = {
        "Slot": list(values),
        "HealthcareService": [
            *("service-type", "location", "organization"),
            *("location.near", "_source"),
        ],
    }
    for kind, names in of.items():
        pages = {
            "": "_count=20",
            ", a large page": "_count=1000",
            ", a large page with all that it includes": f"_count=1000&{includes}",
            ", latest first": "_count=1000&_sort=-start",
            ", of each unit the first": "_count=1000&first-per=unit",
        }
        if kind != "Slot":
            del pages[", latest first"], pages[", of each unit the first"]
        for label, page in pages.items():
            yield _search(kind, f"{kind}{label}", page)
            for name in names:
                listed = values[_spelt(name)]
                for shape, query in (
                    ("one list", _listed(name, listed)),
                    ("repeated", _repeated(name, listed)),
                    ("repeated lists", _repeated_lists(name, listed)),
                ):
                    yield _search(
                        kind, f"{kind} by {name}, {shape}{label}", f"{query}&{page}"
                    )
    yield from _finds(values)


def _spelt(name: str) -> str:
    return {
        "location": "schedule.actor:Location",
        "organization": "schedule.actor:HealthcareService.organization",
        "location.near": "schedule.actor:Location.near",
    }.get(name, name)


def _values(world: World) -> Iterator[tuple[str, list[str]]]:
    units = list(world.all_units())
    some = units[:MOST_SEARCH_VALUES]
    tokens = [
        f"http://snomed.info/sct|{code}"
        for code in itertools.islice(itertools.cycle(world.codes), MOST_SEARCH_VALUES)
    ]
    yield "service-type", tokens
    yield "start", ["ge2026-12-01T08:00:00+01:00"] * MOST_SEARCH_VALUES
    for kind in ("Location", "HealthcareService", "Practitioner"):
        for modifier in ("", ":contains"):
            yield (
                f"schedule.actor:{kind}.name{modifier}",
                [f"{text}{n}" for n in range(10) for text in ("x", "Anna ")],
            )
    yield (
        "schedule.actor",
        [
            f"{kind}/{unit.hsa_id}"
            for unit in some[: MOST_SEARCH_VALUES // 2]
            for kind in ("Location", "Practitioner")
        ],
    )
    yield (
        "schedule.actor:PractitionerRole",
        [f"{unit.hsa_id}.aaaaaaaa" for unit in some],
    )
    yield "schedule.actor:Location.identifier", [unit.hsa_id for unit in some]
    yield "end", ["le2027-12-01T08:00:00+01:00"] * MOST_SEARCH_VALUES
    yield "service-type:not", tokens
    yield "service-type:below", tokens
    yield "service-type:in", ["ValueSet/standard-time-types"] * MOST_SEARCH_VALUES
    yield (
        "_id",
        [
            f"{unit.hsa_id}.aaaaaaaa.aaaaaaaa.1lg7p{n:02}.s4"
            for n, unit in enumerate(some)
        ],
    )
    yield "status", ["free"] * MOST_SEARCH_VALUES
    yield "schedule", [f"{unit.hsa_id}.aaaaaaaa.aaaaaaaa" for unit in some]
    yield "schedule.actor:Location", [unit.hsa_id for unit in some]
    yield (
        "schedule.actor:HealthcareService",
        [f"{unit.hsa_id}.aaaaaaaa" for unit in some],
    )
    yield (
        "schedule.actor:Practitioner",
        [f"{unit.hsa_id[:13]}P{n:05}0" for n, unit in enumerate(some)],
    )
    yield (
        "schedule.actor:Location.near",
        [
            f"{55 + n / 20}|{12 + n / 20}|{500 + n}|km"
            for n in range(MOST_SEARCH_VALUES)
        ],
    )
    yield (
        "schedule.actor:HealthcareService.organization",
        [unit.hsa_id for unit in some],
    )
    yield (
        "_source",
        [
            f"https://fhir-gateway.example.org/source/{name}"
            for name in itertools.islice(
                itertools.cycle(world.source_names()), MOST_SEARCH_VALUES
            )
        ],
    )
    yield (
        "time-of-day",
        [f"ne{n // 60 % 24:02}:{n % 60:02}" for n in range(MOST_SEARCH_VALUES)],
    )
    yield (
        "day-of-week",
        list(
            itertools.islice(
                itertools.cycle(("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
                MOST_SEARCH_VALUES,
            )
        ),
    )


def _listed(name: str, values: list[str]) -> str:
    # What a form can hold of them, with room for the page.
    room = MOST_FORM_BYTES - 600 - len(name)
    kept = list(values)
    while len(quote(",".join(kept))) > room:
        kept.pop()
    return f"{name}={quote(','.join(kept))}"


def _repeated(name: str, values: list[str]) -> str:
    kept = values[: MOST_PARAMETERS - 8]
    while sum(len(name) + 2 + len(quote(value)) for value in kept) > (
        MOST_FORM_BYTES - 600
    ):
        kept = kept[:-1]
    return "&".join(f"{name}={quote(value)}" for value in kept)


def _repeated_lists(name: str, values: list[str]) -> str:
    half = values[: MOST_SEARCH_VALUES // 2 - 5]
    pairs = [f"{one},{other}" for one, other in itertools.pairwise(half)]
    while sum(len(name) + 2 + len(quote(pair)) for pair in pairs) > (
        MOST_FORM_BYTES - 600
    ):
        pairs.pop()
    return "&".join(f"{name}={quote(pair)}" for pair in pairs[: MOST_PARAMETERS - 8])


def _search(kind: str, name: str, form: str) -> Request:
    return Request(
        name=name,
        method="POST",
        path=f"/fhir/{kind}/_search",
        content_type=_FORM,
        body=form.encode(),
    )


def _finds(values: dict[str, list[str]]) -> Iterator[Request]:
    given = {
        "visit-type": ("valueString", values["service-type"]),
        "practitioner": ("valueUri", values["schedule.actor:Practitioner"]),
        "location": ("valueUri", values["schedule.actor:Location"]),
        "practitionerRole": (
            "valueUri",
            [f"{unit}.aaaaaaaa" for unit in values["schedule.actor:Location"]],
        ),
        "location-string": ("valueString", ["a", "nummer", "Vård"] * 20),
        "time-of-day": ("valueString", values["time-of-day"]),
        "schedule.actor:Location.near": (
            "valueString",
            values["schedule.actor:Location.near"],
        ),
    }
    count = {"name": "_count", "valueInteger": 1000}
    for name, (key, listed) in given.items():
        yield _find(f"$find by {name}", [{"name": name, key: v} for v in listed[:50]])
        yield _find(
            f"$find by {name}, a large page",
            [count, *({"name": name, key: v} for v in listed[:50])],
        )
    yield _find("$find, a large page", [count])
    yield _find(
        "$find, of each unit the first",
        [count, {"name": "first-per", "valueString": "unit"}],
    )


def _find(name: str, given: list[dict[str, Any]]) -> Request:
    return Request(
        name=name,
        method="POST",
        path="/fhir/Appointment/$find",
        content_type=_FHIR,
        body=json.dumps({"resourceType": "Parameters", "parameter": given}).encode(),
    )


def bodies() -> Iterator[Request]:
    """Yield writes with bodies at their limits; none of them is carried out."""
    for name, value in _documents():
        body = json.dumps(value, separators=(",", ":")).encode()
        if len(body) > MOST_JSON_BYTES:
            raise ValueError(f"{name} has {len(body)} bytes")
        yield from _writes(name, body)
    for name, body in _texts():
        yield from _writes(name, body)
    for name, value in _long_values():
        body = json.dumps(value, separators=(",", ":")).encode()
        if not MOST_JSON_BYTES < len(body) <= MOST_SENT_BACK_BYTES:
            raise ValueError(f"{name} has {len(body)} bytes")
        yield from (
            each
            for each in _writes(name, body)
            if each.path not in ("/fhir/Appointment", "/fhir/Appointment/$find")
            and each.method != "PATCH"
        )


def _long_values() -> Iterator[tuple[str, Any]]:
    """Yield bodies with one long value each, as long as what is sent back may be."""
    most = MOST_SENT_BACK_BYTES - 1_000
    for kind, text in (
        ("Base64Binary", "QUJD" * (most // 4)),
        ("Oid", "urn:oid:1" + ".1" * (most // 2)),
        ("Code", "a " * (most // 2)),
    ):
        yield (
            f"a long {kind}",
            {
                "resourceType": "Parameters",
                "parameter": [{"name": "colour", f"value{kind}": text}],
            },
        )
        yield (
            f"an Appointment with a long {kind}",
            {
                "resourceType": "Appointment",
                "status": "proposed",
                "extension": [{"url": "urn:x", f"value{kind}": text}],
            },
        )


def _writes(name: str, body: bytes) -> Iterator[Request]:
    for method, path, content_type in (
        ("POST", "/fhir/Appointment", _FHIR),
        ("PUT", "/fhir/Appointment/x", _FHIR),
        ("PATCH", "/fhir/Appointment/x", _PATCH),
        ("POST", "/fhir/Appointment/$book", _FHIR),
        ("POST", "/fhir/Appointment/$hold", _FHIR),
        ("POST", "/fhir/Appointment/x/$reschedule", _FHIR),
        ("POST", "/fhir/Appointment/x/$cancel", _FHIR),
        ("POST", "/fhir/Appointment/$find", _FHIR),
    ):
        yield Request(
            name=f"{method} {path.removeprefix('/fhir/')}: {name}",
            method=method,
            path=path,
            content_type=content_type,
            body=body,
        )


def _documents() -> Iterator[tuple[str, Any]]:
    def appointment(**more: object) -> dict[str, object]:
        return {"resourceType": "Appointment", "status": "proposed", **more}

    many = MOST_JSON_KEYS // 4
    yield "many participants", appointment(participant=[{"status": "x"}] * (many * 3))
    yield (
        "many actors",
        appointment(
            participant=[
                {"status": "accepted", "actor": {"reference": "Slot/1"}}
                for _ in range(many)
            ]
        ),
    )
    yield (
        "many contained",
        appointment(
            contained=[{"resourceType": "Patient", "id": "p"}] * (many * 2 - 5)
        ),
    )
    yield (
        "many identifiers",
        appointment(
            contained=[
                {
                    "resourceType": "Patient",
                    "id": "p",
                    "identifier": [{"system": "urn:x", "value": "1"}] * (many * 2 - 5),
                }
            ]
        ),
    )
    yield (
        "many extensions",
        appointment(extension=[{"url": "urn:x", "valueString": "x"}] * (many * 2 - 5)),
    )
    yield "many items", appointment(slot=[1] * (MOST_JSON_ITEMS - 5))
    yield "many names", {f"a{n}": n for n in range(MOST_JSON_KEYS - 5)}
    yield "a long text", appointment(comment="\u0001" * 5_000)
    yield "a long description", appointment(description="å" * 5_000)
    deep: Any = {"url": "urn:x", "valueString": "x"}
    for _ in range(MOST_JSON_DEPTH // 2 - 2):
        deep = {"url": "urn:x", "extension": [deep] * 1}
    yield "deep", appointment(extension=[deep] * 20)
    yield (
        "Parameters",
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "colour", "valueString": "x" * 100}] * 100,
        },
    )
    yield (
        "Parameters with an Appointment",
        {
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "appt-resource",
                    "resource": appointment(participant=[{"status": "x"}] * (many * 3)),
                }
            ],
        },
    )
    yield (
        "a Patch of copies",
        [{"op": "add", "path": "/x", "value": ["x" * 20_000]}]
        + [{"op": "copy", "from": "/x", "path": "/x/-"}] * 19,
    )


def _texts() -> Iterator[tuple[str, bytes]]:
    yield "huge numbers", b"[" + b",".join([b"9" * 4_000] * 8) + b"]"
    yield "a huge number", b"9" * MOST_JSON_BYTES
    yield "a huge exponent", b"1" + b"0" * 10_000 + b"e-" + b"9" * 10_000
    yield "escapes", b'"' + b"\\u00e5" * (MOST_JSON_BYTES // 6 - 1) + b'"'
    yield "surrogates", b'"' + b"\\ud83d\\ude00" * (MOST_JSON_BYTES // 12 - 1) + b'"'
    yield "a key again and again", b"{" + b",".join([b'"a":1'] * 999) + b"}"
    yield "backslashes", b'"' + b"\\\\" * (MOST_JSON_BYTES // 2 - 1) + b'"'
    yield "quotes", b'"' * MOST_JSON_BYTES
    yield "open brackets", b"[" * MOST_JSON_BYTES
    yield "colons", b":" * MOST_JSON_BYTES


def texts_of_digits(length: int) -> Iterator[tuple[str, str]]:
    """
    Yield texts of a URL, with names, in which a personal number may begin anywhere.

    Args:
        length: Of each text, in bytes.
    """
    for digits in ("0123456789", "0128", "01"):
        found = _no_number(digits, length)
        for mark in ("", "-", "_", "---"):
            name = f"digits of {digits} with {mark!r} between"
            text = mark.join(found)[:length]
            yield name, text
            # What is still encoded when it is decoded once is looked at twice.
            yield f"{name}, decoded twice", f"{text[: length - 4]}x%25"
        for name, percent in (("once", "%3"), ("twice", "%253")):
            encoded = "-".join(percent + digit for digit in found)
            yield f"digits of {digits}, encoded {name}", encoded[:length]
        arabic = "-".join(chr(0x660 + int(digit)) for digit in found[: length // 3])
        yield f"Arabic digits of {digits}", arabic.encode()[:length].decode("latin-1")
        escaped = quote(arabic, safe="-")
        yield f"Arabic digits of {digits}, encoded once", escaped[:length]
        yield (
            f"Arabic digits of {digits}, encoded twice",
            escaped.replace("%", "%25")[:length],
        )


def _no_number(digits: str, length: int) -> str:
    """Return digits, none of which begins a personal number: a search goes on."""
    random = Random(1)  # noqa: S311 - the same texts in each run
    text = ""
    while len(text) < length:
        text += random.choice(digits)
        if any(has_number(text[-size:]) for size in (10, 12)):
            text = text[:-5]
    return text


def heads() -> Iterator[Request]:
    """Yield searches with texts of digits in their URLs, forms and headers."""
    for name, text in texts_of_digits(MOST_TARGET_BYTES - len("/fhir/Slot?")):
        yield Request(name=f"URL: {name}", method="GET", path="/fhir/Slot", query=text)
    for (name, text), (_, query) in zip(
        texts_of_digits(MOST_FORM_BYTES - 600),
        texts_of_digits(MOST_TARGET_BYTES - len("/fhir/Slot/_search?")),
        strict=True,
    ):
        yield Request(
            name=f"URL and form: {name}",
            method="POST",
            path="/fhir/Slot/_search",
            query=query,
            content_type=_FORM,
            body="&".join(
                f"service-type={text[start : start + 400]}"
                for start in range(0, len(text) - 1200, 420)
            ).encode("latin-1"),
        )
    body = json.dumps({"resourceType": "Appointment"}).encode()
    for name, text in texts_of_digits(MOST_HEADER_BYTES - 600):
        if text.isascii():
            for header, value in (
                ("X-Request-Id", text[:255]),
                ("Idempotency-Key", text[:255]),
                ("If-None-Exist", f"identifier=urn:x|{text}"),
                ("If-None-Exist", f"identifier=urn:x|{text[:900]}"),
            ):
                yield Request(
                    name=f"{header} of {len(value)}: {name}",
                    method="POST",
                    path="/fhir/Appointment",
                    content_type=_FHIR,
                    body=body,
                    headers=((header, value),),
                )


def _main(slots: int) -> int:
    with filled(World(slots=slots)) as place:
        settings = Settings.from_environment(place.environment)
        with program(settings, place.environment["REDIS_URL"]) as made:
            made.view.catch_up()
            requests = [*searches(place.world), *bodies(), *heads()]
            once = {each: _timed(made.app, each) for each in requests}
            # Memory is slow to measure: only of what is dear in time, or answers most.
            dear = {
                *sorted(once, key=lambda each: once[each][0])[-_MEASURED:],
                *sorted(once, key=lambda each: once[each][2])[-_MEASURED:],
            }
            costs = [cost_of(made.app, each) for each in requests if each in dear]
        sys.stdout.write(
            f"{len(requests)} requests over {place.slots:,} free times, of which the"
            f" {len(costs)} dearest were measured again\n"
        )
    for label, key in (
        ("processor time", lambda cost: cost.cpu_ms),
        ("memory", lambda cost: cost.peak_mib),
    ):
        sys.stdout.write(f"\nThe dearest by {label}:\n")
        for cost in sorted(costs, key=key, reverse=True)[:_SHOWN]:
            sys.stdout.write(
                f"{cost.cpu_ms:7.1f} ms {cost.peak_mib:6.1f} MiB {cost.status}"
                f" {cost.answer_bytes / 1000:8.0f} kB  {cost.name}\n"
            )
    return int(
        any(each.cpu_ms > _MOST_MS or each.peak_mib > _MOST_MIB for each in costs)
    )


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
