"""
Imports point downward, and modules are called after what they are.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "fhir_gateway"
_MODULES = sorted(_PACKAGE.rglob("*.py"))
# Of 500 and 512 there are bytes and counts as well.
_FAILURES = {*range(400, 452), *range(501, 506)}
_MOST_LINES = 430
_MEANINGLESS = {"base", "common", "helper", "helpers", "manager", "misc", "util"}


def test_every_import_contract_is_kept() -> None:
    """The layers of docs/architecture.md hold, with no exception."""
    finished = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as m; m()",
        ],
        cwd=_ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " 0 broken" in finished.stdout


@pytest.mark.parametrize(
    "path", _MODULES, ids=lambda path: str(path.relative_to(_PACKAGE))
)
def test_no_module_is_a_drawer(path: Path) -> None:
    """No module or package has a name under which anything could be put."""
    names = {*path.relative_to(_PACKAGE).with_suffix("").parts}

    assert not names & (_MEANINGLESS | {"utils"})


@pytest.mark.parametrize(
    "path", _MODULES, ids=lambda path: str(path.relative_to(_PACKAGE))
)
def test_a_long_module_says_why(path: Path) -> None:
    """A module of more than about 400 lines has the reason in its docstring."""
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text)) or ""

    assert len(text.splitlines()) <= _MOST_LINES or "400 lines" in docstring


def test_only_one_module_imports_fhir_classes() -> None:
    """The version of FHIR is decided in fhir/r4.py and nowhere else."""
    importing = {
        path.relative_to(_PACKAGE).as_posix()
        for path in _MODULES
        if "from fhir.resources" in path.read_text(encoding="utf-8")
    }

    assert importing == {"fhir/r4.py"}


def test_only_one_module_knows_the_status_of_a_failure() -> None:
    """The HTTP status of each failure stands in web/errors.py and nowhere else."""
    knowing = {
        path.relative_to(_PACKAGE).as_posix()
        for room in ("fhir", "services", "web")
        for path in (_PACKAGE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and type(node.value) is int
        and node.value in _FAILURES
    }

    assert knowing == {"web/errors.py"}


def test_only_one_module_cuts_tokens() -> None:
    """Where a token is cut stands in model/timeslot.py and nowhere else."""
    cutting = {
        path.relative_to(_PACKAGE).as_posix()
        for path in _MODULES
        if re.search(
            r"token\w*(?:\(\w*\))?(?:\[-?\d*:-?\w+\]|\.r?(?:partition|split)\()",
            path.read_text(encoding="utf-8"),
        )
    }

    assert cutting == {"model/timeslot.py"}


def test_only_one_module_asks_what_time_it_is() -> None:
    """The system's clock is read in model/timekeeping.py and nowhere else."""
    asking = {
        path.relative_to(_PACKAGE).as_posix()
        for path in _MODULES
        if "datetime.now(" in path.read_text(encoding="utf-8")
    }

    assert asking == {"model/timekeeping.py"}
