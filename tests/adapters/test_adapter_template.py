"""
The template of an adapter's package (docs/adapter-template) works as it is.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

_TEMPLATE = Path(__file__).parents[2] / "docs/adapter-template"


def _install(package: Path) -> None:
    """Make a copy of the template look installed, with its entry points."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    about = package / f"{name}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\n"
        f"Version: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")


def test_a_copy_of_the_template_passes_its_own_tests(tmp_path: Path) -> None:
    """Copied and installed, the template is found by name and keeps every promise."""
    package = tmp_path / "my-region"
    shutil.copytree(
        _TEMPLATE, package, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    _install(package)

    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " skipped" not in finished.stdout
