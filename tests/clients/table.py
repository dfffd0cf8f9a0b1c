"""
`docs/clients.md`: what each client can do, as the tests saw it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .steps import STEPS, Attempt

__all__ = ["DOCUMENT", "Done", "document", "without_browser"]

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "clients.md"

_BEGIN: Final = "<!-- The tests write what follows: tests/clients/test_clients.py -->\n"
_TEXT: Final = """\
# Clients

FHIR clients that this project did not write.
`make test` runs them against the demo, with the access token of a resident.
`tests/clients` has the steps, the same for each of them.
newman runs the Postman collection (`make postman`), which has these steps and more.

"""
_NONE: Final = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Done:
    """What a client of a version could do."""

    version: str
    attempts: Mapping[str, Attempt]


def document(done: Mapping[str, Done]) -> str:
    """Return the page of what all clients could do, by name."""
    names = sorted(done)
    rows = [
        ["Step", *(f"{name} {done[name].version}" for name in names)],
        ["---"] * (len(names) + 1),
        *(
            [step.meaning, *(_cell(done[name].attempts[step.name]) for name in names)]
            for step in STEPS
        ),
    ]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{_TEXT}{_BEGIN}\n{table}\n“{_NONE}”: the client has no call for it.\n"


def without_browser(text: str) -> str:
    """Return a page without the browser's version: the system chooses that one."""
    return re.sub(r"(?<=Chromium )[0-9.]+", "", text)


def _cell(attempt: Attempt) -> str:
    if not attempt.is_offered:
        return _NONE
    return "fails" if attempt.why else "works"
