"""
HL7's own validator of FHIR R4 in a Java process of ours; see tests/validators/hl7.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fhir_gateway.fhir.implementation_guide import package
from fhir_gateway.fhir.vocabulary import Vocabulary

__all__ = [
    "ACCEPTED_WARNINGS",
    "Hl7Validator",
    "Message",
    "NoHl7Validator",
    "running_hl7_validator",
]

_FOLDER: Final = Path(__file__).parent / "validators" / "hl7"
_ERRORS: Final = frozenset({"error", "fatal"})

# The kinds of warnings that stay, each with its reason.
ACCEPTED_WARNINGS: Final = frozenset(
    {
        # Best practice: a narrative. Programs read these resources; the texts that
        # residents read have elements of their own.
        "http://hl7.org/fhir/StructureDefinition/DomainResource#dom-6",
        # The code systems of units' own time types: only the unit knows all its codes.
        "CONCEPTMAP_GROUP_SOURCE_UNKNOWN",
        "Terminology_PassThrough_TX_Message",
        # SNOMED CT's content needs a licence and a terminology server.
        "CONCEPTMAP_GROUP_TARGET_UNKNOWN",
        "TERMINOLOGY_TX_SYSTEM_UNSUPPORTED",
        (
            "The terminology server null used for the CodeSystem http://snomed.info/sct|"
            "http://snomed.info/sct/45991000052106 does not support batch validation"
            " (tx version Not Known), so the codes have not been validated"
        ),
        # R4's own elements bind value sets that R4 calls experimental.
        "SD_ED_EXPERIMENTAL_BINDING",
        # It wants `element`, and reports an error for `element`, which it cannot check
        # without fetching R4's package over the network.
        "SD_CONTEXT_SHOULD_NOT_BE_FHIRPATH",
        # A Measure's population has an expression that programs compute. The gateway
        # counts by itself: its Measures describe that in words.
        "MEASURE_M_GROUP_POP",
        # It looks for Measures among the profiles only, not among what it validates.
        "Measure_MR_M_NotFound",
    }
)


class NoHl7Validator(Exception):
    """Java or Maven is missing; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    What the validator says of a document.

    Attributes:
        kind: The id of the message or the URL of the invariant; the text of a message
            without either.
    """

    file: str
    severity: str
    path: str
    kind: str
    text: str

    @property
    def is_error(self) -> bool:
        """Return whether the document is not valid."""
        return self.severity in _ERRORS


class Hl7Validator:
    """A running validator, which knows R4 and the package of the profiles."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def messages(self, path: Path) -> tuple[int, list[Message]]:
        """Return how many files there are at a path, and the errors and warnings."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        requests.write(f"{path}\n")
        requests.flush()
        line = answers.readline()
        assert line, "the validator ended: see its error output"
        answer = json.loads(line)
        return answer["files"], [
            Message(
                file=each["file"],
                severity=each["severity"],
                path=each["path"] or "",
                kind=each["kind"] or each["message"],
                text=each["message"],
            )
            for each in answer["found"]
        ]


@contextmanager
def running_hl7_validator() -> Iterator[Hl7Validator]:
    """
    Give a validator, and end it in the end.

    Raises:
        NoHl7Validator: Java or Maven is not installed.
    """
    missing = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
    if missing:
        raise NoHl7Validator(
            f"{' and '.join(missing)} not on the PATH: HL7's validator not run;"
            " install a JDK of version 17 or later, and Maven"
        )
    with tempfile.TemporaryDirectory() as folder:
        profiles = Path(folder) / "package.tgz"
        profiles.write_bytes(package(Vocabulary()))
        arguments = [
            *("-Xmx1g", "-XX:TieredStopAtLevel=1"),
            *("-cp", _classpath(), str(_FOLDER / "Validate.java"), str(profiles)),
        ]
        with subprocess.Popen(
            ["java", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            # Leaving the block closes its input, which ends it, and waits for that.
            yield Hl7Validator(process)


def _classpath() -> str:
    """Return the jars; Maven fetches them once, and again when pom.xml changes."""
    pom = _FOLDER / "pom.xml"
    kept = _FOLDER / "target" / "classpath"
    # The lock is for test runs in several processes.
    with pom.open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists() and kept.stat().st_mtime > pom.stat().st_mtime:
            classpath = kept.read_text(encoding="utf-8")
            if all(Path(jar).exists() for jar in classpath.split(os.pathsep)):
                return classpath
        subprocess.run(
            [
                *("mvn", "--batch-mode", "--quiet", "--file", str(pom)),
                *("dependency:build-classpath", f"-Dmdep.outputFile={kept}"),
            ],
            check=True,
            timeout=600,
        )
        return kept.read_text(encoding="utf-8")
