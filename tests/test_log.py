"""
Logging: where events go, and what happens when they can go nowhere.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import structlog
from fhir_gateway.log import configure_logging

configure_logging()
structlog.get_logger().error("disk full", source="norr")
print("went on")
"""


def test_an_event_is_a_line_of_json() -> None:
    """A phrase, its fields, a level and an instant."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    event = json.loads(done.stderr)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "disk full", "level": "error", "source": "norr"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_an_event_that_cannot_be_written_harms_nothing() -> None:
    """On a full disk the work goes on without its log."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )

    assert done.stdout == "went on\n"


_WATCHED = """
import sys
import structlog
from fhir_gateway.log import configure_logging

class Watched:
    writes = []
    def write(self, text):
        self.writes.append(text)
    def flush(self):
        pass

sys.stderr = Watched()
configure_logging()
structlog.get_logger().error("one")
structlog.get_logger().warning("two")
print([each.count("\\n") for each in Watched.writes], Watched.writes[0][-2:] == "}\\n")
"""


def test_an_event_is_one_write() -> None:
    """Of a process that is killed no line is left without its end."""
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[1, 1] True\n"
