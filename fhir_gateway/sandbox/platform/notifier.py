"""
Notifications of the sandbox's engagement index: sent until they are accepted.

A subscriber is behind a proxy of its own: that proxy checks the index's certificate and
reports it in `Client-Cert` (RFC 9440). Here the notifier writes the field itself.
"""

import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from fhir_gateway.model.engagement import MOST_POSTS, PROCESS_NOTIFICATION
from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.timekeeping import now
from fhir_gateway.rivta.engagement_index_1_0.process_notification import (
    CONTRACT,
    Request,
    Response,
)
from fhir_gateway.rivta.engagement_index_1_0.types import EngagementTransactionType
from fhir_gateway.rivta.envelope import (
    CONTENT_TYPE,
    MalformedEnvelope,
    read_response,
    write_request,
)
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.xml import UnreadableXml
from fhir_gateway.sandbox.fault_rule import FaultKind, FaultRules
from fhir_gateway.sandbox.platform.index_options import Subscriber

__all__ = ["NOTIFIER", "Notifier"]

NOTIFIER: Final = "SE165565594230-1000"
"""The HSA-id in the index's certificate."""

_LOOKS_EVERY_S: Final = 0.5
_TRIES_AGAIN_S: Final = 0.5
_TIMEOUT_S: Final = 10


@dataclass
class _Queue:
    waiting: deque[bytes] = field(default_factory=deque)
    accepted: int = 0


class Notifier:
    """
    Sends notifications in the background.

    Args:
        rules: Fault rules; those about ProcessNotification spoil what it sends.
        wait: Waits a number of seconds, less when the server stops.
        look: Returns changes that nobody reported.
    """

    def __init__(
        self,
        rules: FaultRules,
        *,
        wait: Callable[[float], None],
        look: Callable[[], Sequence[EngagementTransactionType]],
    ) -> None:
        self._rules = rules
        self._wait = wait
        self._look = look
        self._changed = threading.Condition()
        self._queues: dict[Subscriber, _Queue] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._certificate = _certificate()

    @property
    def accepted(self) -> dict[str, int]:
        """Return how many notifications each subscriber has accepted."""
        with self._changed:
            return {who.endpoint: each.accepted for who, each in self._queues.items()}

    @property
    def waiting(self) -> int:
        """Return how many notifications are still to be sent."""
        with self._changed:
            return sum(len(each.waiting) for each in self._queues.values())

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        """Return who is notified."""
        with self._changed:
            return tuple(self._queues)

    def subscribe(self, subscribers: Sequence[Subscriber]) -> None:
        """Notify these from now on; what waits for one of them still does."""
        with self._changed:
            self._queues = {
                each: self._queues.get(each) or _Queue() for each in subscribers
            }
            if self._thread is None and subscribers:
                self._thread = threading.Thread(
                    target=self._run, name="notifier", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def notify(self, changes: Sequence[EngagementTransactionType]) -> None:
        """Queue changes for each subscriber."""
        with self._changed:
            for subscriber, queue in self._queues.items():
                queue.waiting.extend(
                    write_request(
                        CONTRACT,
                        Request(
                            transactions=tuple(changes[first : first + MOST_POSTS])
                        ),
                        logical_address=LogicalAddress(subscriber.logical_address),
                        actor=None,
                    )
                    for first in range(0, len(changes), MOST_POSTS)
                )
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if changes := self._look():
                self.notify(changes)
            with self._changed:
                queues = list(self._queues.items())
            failed = [each for each in queues if not self._send_all(*each)]
            with self._changed:
                is_idle = not any(each.waiting for each in self._queues.values())
                if not self._stopping.is_set() and (failed or is_idle):
                    self._changed.wait(_TRIES_AGAIN_S if failed else _LOOKS_EVERY_S)

    def _send_all(self, subscriber: Subscriber, queue: _Queue) -> bool:
        """Send what waits, the oldest first; return whether all was accepted."""
        while queue.waiting and not self._stopping.is_set():
            document = queue.waiting[0]
            rule = self._rules.take(PROCESS_NOTIFICATION, subscriber.logical_address)
            if rule is not None:
                self._wait(rule.seconds)
                if rule.kind is FaultKind.ANSWER_TWICE:
                    self._post(subscriber, document)
            if not self._post(subscriber, document):
                return False
            queue.waiting.popleft()
            queue.accepted += 1
        return True

    def _post(self, subscriber: Subscriber, document: bytes) -> bool:
        """Return whether the subscriber answered, with a yes or a no."""
        with suppress(
            requests.RequestException,
            UnreadableXml,
            MalformedEnvelope,
            MalformedElement,
        ):
            reply = requests.post(
                subscriber.endpoint,
                data=document,
                headers={
                    "Content-Type": CONTENT_TYPE,
                    "SOAPAction": f'"{CONTRACT.action}"',
                    "Client-Cert": self._certificate,
                },
                timeout=_TIMEOUT_S,
            )
            if reply.status_code == HTTPStatus.OK:
                answer = read_response(CONTRACT, reply.content).response
                return isinstance(answer, Response)
        return False


def _certificate() -> str:
    """Return a new certificate of the index, as the field `Client-Cert` has it."""
    key = generate_private_key(SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "engagement-index"),
            x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, NOTIFIER),
        ]
    )
    at = now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=365))
        .sign(key, SHA256())
    )
    encoded = b64encode(certificate.public_bytes(Encoding.DER)).decode()
    return f":{encoded}:"
