"""
A client that this project did not write, in a process of its own.

The process reads one line of JSON for each call and answers with one: `node/serve.mjs`
says how. So each client needs only its verbs, and the steps stand in one place.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["Client", "ClientFailed", "running_client"]

FOLDER: Final = Path(__file__).parent


class ClientFailed(Exception):
    """
    The client raised an error.

    Attributes:
        status: The HTTP status, where the client shows it.
        outcome: The OperationOutcome, where the client shows it.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["text"])
        self.status: int | None = error.get("status")
        self.outcome: Any = error.get("outcome")


class Client:
    """
    A running client.

    Attributes:
        name: Its package.
        version: The version of it.
        verbs: What it can do.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        hello = self._line()
        self.name: str = hello["name"]
        self.version: str = hello["version"]
        self.verbs = frozenset(hello["verbs"])

    def do(self, verb: str, *arguments: Any) -> Any:
        """
        Return what the client gives for a verb.

        Raises:
            ClientFailed: The client raised an error.
        """
        assert self._process.stdin is not None
        asked = {"verb": verb, "arguments": arguments}
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        answer = self._line()
        if "error" in answer:
            raise ClientFailed(answer["error"])
        return answer.get("value")

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._process.args!r} ended: see its error output"
        return json.loads(line)


@contextmanager
def running_client(
    command: Sequence[str | Path], environment: Mapping[str, str]
) -> Iterator[Client]:
    """Give a client, and end it in the end."""
    with subprocess.Popen(
        command,
        cwd=FOLDER,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        # Leaving the block closes its input, which ends it, and waits for that.
        yield Client(process)
