"""
The sandbox's engagement index: Update, FindContent, notifications, and its ledger.

It keeps the rules of skltp/ei: all posts of a message or none, each key once, at most
1,000 posts, its own logical address. It sets owner and times itself. Regions that keep
the index themselves have their posts from their books; the others' posts arrive by
Update. Notifications are sent until they are accepted, see `notifier.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from email.message import Message
from http import HTTPStatus
from typing import Any, Final, Protocol

from fhir_gateway.model.engagement import (
    FIND_CONTENT,
    MOST_POSTS,
    PROCESS_NOTIFICATION,
    SERVICE_DOMAIN,
    UPDATE,
)
from fhir_gateway.model.timekeeping import Clock, civil_time_text
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.engagement_index_1_0 import find_content, update
from fhir_gateway.rivta.engagement_index_1_0.types import (
    EngagementTransactionType,
    EngagementType,
)
from fhir_gateway.rivta.envelope import (
    Call,
    MalformedEnvelope,
    read_call,
    write_response,
)
from fhir_gateway.rivta.xml import UnreadableXml
from fhir_gateway.sandbox.fault_rule import FaultKind, FaultRule
from fhir_gateway.sandbox.faulty_producer import FaultyProducer, checked_request
from fhir_gateway.sandbox.platform.index_options import IndexOptions
from fhir_gateway.sandbox.platform.notifier import Notifier
from fhir_gateway.sandbox.platform.spoiling import spoiled
from fhir_gateway.sandbox.producer import (
    ProducerFault,
    is_person,
    platform_fault,
    server_fault,
)
from fhir_gateway.sandbox.reply import Reply, fault_reply

__all__ = ["INDEX_ADDRESS", "INDEX_CONTRACTS", "EngagementIndex", "KeepsPosts"]

INDEX_ADDRESS: Final = "SE165565594230-1000"
"""Its HSA-id: the logical address of Update and FindContent, and each post's owner."""

INDEX_CONTRACTS: Final[tuple[Contract[Any, Any], ...]] = (
    update.CONTRACT,
    find_content.CONTRACT,
)
"""The contracts that it answers."""

_BY_ACTION: Final = {each.action: each.interaction for each in INDEX_CONTRACTS}
_BY_TAG: Final = {each.request_tag: each for each in INDEX_CONTRACTS}
_MANDATORY: Final = (
    *("registered_resident_identification", "service_domain", "categorization"),
    *("logical_address", "business_object_instance_identifier"),
    *("clinical_process_interest_id", "source_system", "data_controller"),
)
_FILTERS: Final = (
    *("categorization", "logical_address", "business_object_instance_identifier"),
    *("clinical_process_interest_id", "source_system", "data_controller", "owner"),
)

Key = tuple[str, ...]


class KeepsPosts(Protocol):
    """A region, which may keep the index itself."""

    def posts(self) -> Iterable[EngagementType]:
        """Return the posts of all of its coming bookings and invitations."""


class EngagementIndex(FaultyProducer):
    """
    The index.

    Args:
        name: Its name in the sandbox's URLs.
        regions: The regions, all of which keep the index themselves at first.
        clock: Its clock.
        wait: Waits a number of seconds, less when the server stops.

    Attributes:
        interactions: Those that its fault rules may name. A rule about
            ProcessNotification spoils what it sends: `answer-twice` sends it twice,
            `answer-late` later.
        fault_kinds: The kinds of its fault rules.
    """

    interactions: Final = frozenset({UPDATE, FIND_CONTENT, PROCESS_NOTIFICATION})
    fault_kinds: Final = frozenset(FaultKind) - {FaultKind.EMPTY}

    def __init__(
        self,
        name: str,
        *,
        regions: Mapping[str, KeepsPosts],
        clock: Clock,
        wait: Callable[[float], None],
    ) -> None:
        super().__init__(name, by_action=_BY_ACTION, wait=wait)
        self._regions = regions
        self._keeping = frozenset(regions)
        self._clock = clock
        self._posts: dict[Key, EngagementType] = {}
        self._received: Counter[Key] = Counter()
        self._results: Counter[str] = Counter()
        self._notifier = Notifier(self.rules, wait=wait, look=self._changes_of_books)
        self._of_books: dict[Key, EngagementType] = {}

    @property
    def options(self) -> IndexOptions:
        """Return how it behaves."""
        return IndexOptions(
            keeping=self._keeping, subscribers=self._notifier.subscribers
        )

    def behave(self, options: IndexOptions) -> None:
        """Behave otherwise from now on; posts of regions that stop keeping it go."""
        self._keeping = options.keeping
        self._of_books = self._posts_of_books()
        self._notifier.subscribe(options.subscribers)

    def stop(self) -> None:
        """Send no more notifications."""
        self._notifier.stop()

    def ledger_json(self) -> dict[str, Any]:
        """
        Return the posts, how often each came by Update, and the results of messages.

        `notified` is how many notifications each subscriber has accepted.
        """
        with self._lock:
            posts = {**self._posts_of_books(), **self._posts}
            return {
                "engagement_index": self.name,
                "results": dict(self._results),
                "posts": [
                    _post_json(post) | {"received": self._received[key]}
                    for key, post in posts.items()
                ],
                "notified": self._notifier.accepted,
                "waiting": self._notifier.waiting,
            }

    def addresses(self, subject_of_care: str) -> Sequence[str]:
        """Return the logical addresses with a post about a resident."""
        return list(
            dict.fromkeys(
                each.logical_address
                for each in self._all()
                if each.registered_resident_identification == subject_of_care
            )
        )

    def answer(
        self,
        document: bytes,
        soap_action: str,
        _headers: Message,
    ) -> Reply | None:
        """Return the answer to a message, or None to reset the connection."""
        try:
            call = read_call(document)
        except (UnreadableXml, MalformedEnvelope):
            return fault_reply(platform_fault("VP015"))
        contract = _BY_TAG.get(call.action)

        def processed() -> Reply:
            try:
                return self._process(contract, call, soap_action)
            except ProducerFault as fault:
                self._count("fault")
                return fault_reply(fault)

        rule = self.rules.take(
            None if contract is None else contract.interaction, call.logical_address
        )
        if rule is None:
            return processed()
        return self._spoil(rule, processed)

    def _spoil(self, rule: FaultRule, processed: Callable[[], Reply]) -> Reply | None:
        match rule.kind:
            case FaultKind.ERROR:
                self._count("ERROR")
                return _result("ERROR", rule.text)
            case FaultKind.INFO:
                processed()
                return _result("INFO", rule.text)
        return spoiled(rule, processed, self._wait)

    def _process(
        self, contract: Contract[Any, Any] | None, call: Call, soap_action: str
    ) -> Reply:
        if call.logical_address is None:
            raise platform_fault("VP003")
        if contract is None:
            raise platform_fault("VP004")
        request = checked_request(contract, call, soap_action)
        if call.logical_address != INDEX_ADDRESS:
            raise server_fault("EI003: the logical address is not the owner's")
        if isinstance(request, find_content.Request):
            return self._find(request)
        return self._update(request.transactions)

    def _update(self, transactions: Sequence[EngagementTransactionType]) -> Reply:
        if not 1 <= len(transactions) <= MOST_POSTS:
            raise server_fault(f"EI000: the request has {len(transactions)} posts")
        keys = [_key(each.engagement) for each in transactions]
        if len(set(keys)) < len(keys):
            raise server_fault("EI002: two transactions have the same key")
        for each in transactions:
            if wrong := _wrong_element(each):
                raise server_fault(f'EI004: field "{wrong}" is wrong')
        stamp = civil_time_text(self._clock())
        changed = []
        with self._lock:
            for key, each in zip(keys, transactions, strict=True):
                self._received[key] += 1
                known = self._posts.get(key)
                stored = replace(
                    each.engagement,
                    owner=INDEX_ADDRESS,
                    creation_time=known.creation_time if known else stamp,
                    update_time=stamp,
                )
                if each.delete_flag:
                    self._posts.pop(key, None)
                else:
                    self._posts[key] = stored
                changed.append(replace(each, engagement=stored))
        self._notifier.notify(changed)
        self._count("OK")
        return _result("OK")

    def _find(self, request: find_content.Request) -> Reply:
        found = tuple(
            post
            for post in self._all()
            if post.registered_resident_identification
            == request.registered_resident_identification
            and post.service_domain == request.service_domain
            and all(
                getattr(request, name) in (None, getattr(post, name))
                for name in _FILTERS
            )
            and (request.most_recent_content or "") <= (post.most_recent_content or "")
        )
        return Reply(
            status=HTTPStatus.OK,
            body=write_response(
                find_content.CONTRACT, find_content.Response(engagements=found)
            ),
        )

    def _all(self) -> list[EngagementType]:
        of_books = self._posts_of_books()
        with self._lock:
            return list({**of_books, **self._posts}.values())

    def _posts_of_books(self) -> dict[Key, EngagementType]:
        return {
            _key(post): replace(post, owner=INDEX_ADDRESS)
            for name, region in self._regions.items()
            if name in self._keeping
            for post in region.posts()
        }

    def _changes_of_books(self) -> list[EngagementTransactionType]:
        """Return what has changed in the regions' books since the last look."""
        before, after = self._of_books, self._posts_of_books()
        self._of_books = after
        return [
            EngagementTransactionType(
                delete_flag=True, engagement=replace(post, most_recent_content=None)
            )
            for key, post in before.items()
            if key not in after
        ] + [
            EngagementTransactionType(delete_flag=False, engagement=post)
            for key, post in after.items()
            if before.get(key) != post
        ]

    def _count(self, result: str) -> None:
        with self._lock:
            self._results[result] += 1


def _wrong_element(transaction: EngagementTransactionType) -> str | None:
    """Return the name of an element that a rule of bookings forbids."""
    post = transaction.engagement
    blank = next(
        (
            name
            for name in _MANDATORY
            if getattr(post, name) != getattr(post, name).strip()
        ),
        None,
    )
    if blank is not None:
        return blank
    checks: Mapping[str, bool] = {
        "registeredResidentIdentification": is_person(
            post.registered_resident_identification
        ),
        "serviceDomain": post.service_domain == SERVICE_DOMAIN,
        "mostRecentContent": transaction.delete_flag
        is (post.most_recent_content is None),
        "owner": post.owner is None,
    }
    return next((name for name, is_right in checks.items() if not is_right), None)


def _key(post: EngagementType) -> Key:
    return tuple(getattr(post, name) for name in _MANDATORY)


def _result(code: str, comment: str | None = None) -> Reply:
    return Reply(
        status=HTTPStatus.OK,
        body=write_response(
            update.CONTRACT, update.Response(result_code=code, comment=comment or None)
        ),
    )


def _post_json(post: EngagementType) -> dict[str, Any]:
    return {
        "subject_of_care": post.registered_resident_identification,
        "categorization": post.categorization,
        "logical_address": post.logical_address,
        "booking_id": post.business_object_instance_identifier,
        "most_recent_content": post.most_recent_content,
        "source_system": post.source_system,
        "data_controller": post.data_controller,
        "owner": post.owner,
        "update_time": post.update_time,
    }
