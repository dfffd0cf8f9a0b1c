"""
Lets a program use a client of Python; `../node/serve.mjs` says how.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["BASE_URL", "TOKEN", "serve"]

BASE_URL: Final = os.environ["BASE_URL"]
TOKEN: Final = os.environ["TOKEN"]


def serve(
    name: str,
    version: str,
    verbs: Mapping[str, Callable[..., Any]],
    failure: Callable[[Exception], Mapping[str, Any]],
) -> None:
    """
    Serve a client's verbs until the input ends.

    Args:
        name: Its package.
        version: The version of it.
        verbs: What it can do.
        failure: Reads status and outcome out of its errors.
    """
    _say({"name": name, "version": version, "verbs": sorted(verbs)})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            _say({"value": verbs[asked["verb"]](*asked["arguments"])})
        except Exception as error:  # noqa: BLE001 - a client may raise anything
            _say({"error": {"text": repr(error)[:500], **failure(error)}})


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()
