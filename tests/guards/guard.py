"""
The guards that are taken out, one at a time, to see which suite notices.

A guard is a line or two that stand between bad input and harm: a check, a cap, a
redaction, a uniqueness. Code that nobody would miss is code that may be lost.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["GUARDS", "Guard"]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """
    One guard and how it is taken out: a table of guards.toml.

    Attributes:
        name: What happens without it.
        path: The module, below `fhir_gateway/`.
        text: What stands there exactly once.
        without: What stands there when the guard is gone.
        suite: pytest's arguments: the suite that must fail.
    """

    name: str
    path: str
    text: str
    without: str
    suite: str


GUARDS: Final = tuple(
    Guard(**table)
    for table in tomllib.loads(
        Path(__file__).with_name("guards.toml").read_text(encoding="utf-8")
    )["guard"]
)
