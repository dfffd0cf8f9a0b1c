"""
Child processes, and what is left of them when their parent is gone.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import is_alive, wait_until

from fhir_gateway.child_process import ChildProcess

_PARENT = """
import sys
from pathlib import Path
from fhir_gateway.child_process import ChildProcess
child = ChildProcess(
    [sys.executable, "-c", sys.argv[1]], log=Path(sys.argv[2])
)
print(child.pid, flush=True)
sys.stdin.read()
"""
_SLEEPS = "import time; time.sleep(600)"
_HEEDS_NOTHING = (
    "import signal, time\n"
    "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
    "    signal.signal(number, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)\n"
)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(_SLEEPS, id="one that sleeps"),
        pytest.param(_HEEDS_NOTHING, id="one that heeds no signal"),
    ],
)
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, program: str) -> None:
    """After kill -9 of the parent the child is gone within a moment."""
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, program, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)

        assert wait_until(lambda: not is_alive(child))


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    """A child that heeds no SIGTERM has ended when `end` returns."""
    log = tmp_path / "log"
    child = ChildProcess([sys.executable, "-c", _HEEDS_NOTHING], log=log)
    assert wait_until(lambda: log.read_bytes() == b"ready\n")

    child.terminate()
    child.end(0.1)

    assert child.exit_code() == -signal.SIGKILL


def test_a_child_that_has_ended_has_an_exit_code(tmp_path: Path) -> None:
    """The exit code is None while the child runs, and its own after that."""
    child = ChildProcess(
        [sys.executable, "-c", "raise SystemExit(7)"], log=tmp_path / "log"
    )

    assert wait_until(lambda: child.exit_code() is not None)
    assert child.exit_code() == 7
