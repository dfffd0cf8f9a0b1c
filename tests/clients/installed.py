"""
The programs that run the clients: Node with npm's packages, Java with Maven's.
"""

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Final

from .client import FOLDER

__all__ = ["MissingProgram", "chromium", "hapi_command", "node_command"]

_NODE: Final = FOLDER / "node"
_HAPI: Final = FOLDER / "hapi"


class MissingProgram(Exception):
    """A program is not on the PATH; the message says which."""


def node_command(name: str) -> list[str]:
    """
    Return the command of a client of Node.

    Raises:
        MissingProgram: Node or npm is missing.
    """
    _need("node", "npm")
    # npm writes this file last; the lock is for test runs in several processes.
    installed = _NODE / "node_modules" / ".package-lock.json"
    with (_NODE / "package.json").open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            subprocess.run(["npm", "ci"], cwd=_NODE, check=True, timeout=300)
    return ["node", str(_NODE / f"with_{name}.mjs")]


def hapi_command() -> list[str]:
    """
    Return the command of HAPI's client.

    Raises:
        MissingProgram: Java or Maven is missing.
    """
    _need("java", "mvn")
    classpath = _HAPI / "target" / "classpath"
    with (_HAPI / "pom.xml").open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not classpath.exists():
            classpath.parent.mkdir(exist_ok=True)
            subprocess.run(
                [
                    *("mvn", "--batch-mode", "--quiet", "--file", _HAPI / "pom.xml"),
                    "dependency:build-classpath",
                    "-Dmdep.outputFile=target/classpath",
                ],
                check=True,
                timeout=600,
            )
    return ["java", "-cp", _text(classpath), str(_HAPI / "WithHapi.java")]


def chromium() -> str:
    """
    Return the path of the browser.

    Raises:
        MissingProgram: There is none.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise MissingProgram("chromium is not on the PATH: no page in a browser is tried")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _need(*programs: str) -> None:
    for each in programs:
        if shutil.which(each) is None:
            raise MissingProgram(f"{each} is not on the PATH: this client is not run")
