"""
Sound JSON, made unsound.
"""

import copy
import json
from typing import Any, Final

from hypothesis import strategies as st

from .canary import SENT_NUMBER
from .texts import JSON_VALUES, TEXTS, TIMES

__all__ = ["changed", "damaged_bytes"]

Path = tuple[str | int, ...]

_OTHER: Final = f"Patient/{SENT_NUMBER}"
_VALUES: st.SearchStrategy[Any] = (
    JSON_VALUES
    | st.sampled_from(
        [
            *(
                "fulfilled",
                "booked",
                "cancelled",
                "pending",
                "entered-in-error",
                "noshow",
            ),
            *(_OTHER, f"http://127.0.0.1:1/fhir/{_OTHER}", "#patient", "#nobody", "#"),
            *(
                "urn:uuid:00000000-0000-0000-0000-000000000000",
                "Appointment/x",
                "Slot/x",
            ),
            *([], {}, [[]], [None], [{}], "", None, 0, True),
        ]
    )
    | TIMES
).map(copy.deepcopy)  # a later change does not change the sample
_KEYS = TEXTS | st.sampled_from(
    [
        *("modifierExtension", "implicitRules", "contained", "extension", "meta", "id"),
        *(
            "participant",
            "slot",
            "start",
            "supportingInformation",
            "basedOn",
            "_status",
        ),
        *("requestedPeriod", "reference", "identifier", "text", "language", "priority"),
        *("resourceType", "fhir_comments", "cancelationReason", "patientInstruction"),
    ]
)


def _places(value: Any, path: Path = ()) -> list[Path]:
    """Return each path in a value; the empty one is the whole."""
    found = [path]
    if isinstance(value, dict):
        for name, item in value.items():
            found += _places(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _places(item, (*path, index))
    return found


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


@st.composite
def changed(draw: st.DrawFn, sound: Any) -> Any:
    """Return a copy of some JSON with one to three changes."""
    body = copy.deepcopy(sound)
    # Many of many would not fit in memory.
    many = draw(st.sampled_from([3, 100, 10_000]))
    for at in range(draw(st.integers(1, 3))):
        if not isinstance(body, (dict, list)):
            return body
        body = _changed_once(draw, body, many if at == 0 else 3)
    return body


def _changed_once(draw: st.DrawFn, body: Any, many: int) -> Any:
    path = draw(st.sampled_from(_places(body)))
    if not path:
        if isinstance(body, dict):
            body[draw(_KEYS)] = draw(_VALUES)
            return body
        return draw(_VALUES)
    parent, last = _at(body, path[:-1]), path[-1]
    item = parent[last]
    match draw(
        st.sampled_from(["set", "drop", "wrap", "twice", "many", "add", "move"])
    ):
        case "set":
            parent[last] = draw(_VALUES)
        case "drop":
            del parent[last]
        case "wrap":
            parent[last] = [item]
        case "twice":
            parent[last] = item + item if isinstance(item, (list, str)) else [item] * 2
        case "many" if isinstance(item, list):
            parent[last] = item * many
        case "add" if isinstance(item, dict):
            item[draw(_KEYS)] = draw(_VALUES)
        case _ if isinstance(parent, dict):
            parent[draw(_KEYS)] = parent.pop(last)
    return body


@st.composite
def damaged_bytes(draw: st.DrawFn, sound: Any) -> bytes:
    """Return some JSON as bytes that are hardly JSON any more."""
    text = json.dumps(sound, ensure_ascii=draw(st.booleans()))
    body = text.encode()
    place = draw(st.integers(0, len(body)))
    match draw(st.sampled_from(range(12))):
        case 0:
            return body[:place]
        case 1:
            return body[:place] + draw(st.binary(max_size=8)) + body[place:]
        case 2:
            flipped = bytearray(body)
            flipped[place % len(body)] ^= draw(st.integers(1, 255))
            return bytes(flipped)
        case 3:
            depth = draw(st.sampled_from([32, 33, 1_000, 15_000, 100_000]))
            opening, closing = draw(st.sampled_from([("[", "]"), ('{"a":', "}")]))
            inner = "1" if opening != "[" else ""
            return (opening * depth + inner + closing * depth).encode()
        case 4:
            bad = draw(
                st.sampled_from(
                    ["NaN", "-Infinity", "1e999", "9" * 5_000, "-", "01", "+1", ".5"]
                )
            )
            return text.replace('"proposed"', bad, 1).encode()
        case 5:
            return draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\0"])) + body
        case 6:
            coding = draw(
                st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-7", "latin-1"])
            )
            return text.encode(coding, "replace")
        case 7:
            lone = draw(st.sampled_from(["\\ud800", "\\udfff\\ud800", "\\u0000"]))
            return text.replace("proposed", lone, 1).encode()
        case 8:
            return text.replace("{", '{"status":"booked","status":', 1).encode() + b"}"
        case 9:
            return text.replace("{", '{"status":"booked",', 1).encode()
        case 10:
            return body + draw(st.sampled_from([b"}", b" x", b"\n{}", body, b"\0"]))
        case _:
            return draw(st.binary(max_size=60))
