"""
What the engagement index says of a resident: stored posts, and the index's own answer.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from engagements import MARKS, TOLVAN, post
from granting import demo_grant
from structlog.testing import capture_logs

from fhir_gateway.model.engagement import Category, Engagement, EngagementChange
from fhir_gateway.model.errors import GatewayError, Unavailable
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.national.engagement_index import FoundPosts, UpdateResult
from fhir_gateway.services.engagement.resident_posts import (
    IndexedPosts,
    NoIndex,
    StoredPosts,
)
from fhir_gateway.services.engagement.upkeep import IndexUpkeep
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.engagements import Engagements
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

WITHIN = timedelta(seconds=1)
GRANT = demo_grant(TOLVAN)
FRESH = timedelta(minutes=5)


class MemoryIndex:
    """An index that answers what a test says, and counts the questions."""

    def __init__(self, answer: Callable[[], FoundPosts | GatewayError]) -> None:
        self.answer = answer
        self.questions = 0

    def update(self, changes: Sequence[EngagementChange]) -> UpdateResult:  # noqa: ARG002 - the Protocol has this parameter
        """Take everything."""
        return UpdateResult.ACCEPTED

    def find_content(
        self,
        resident: PersonalIdentityNumber,  # noqa: ARG002 - the Protocol has this parameter
        *,
        within: timedelta,  # noqa: ARG002 - likewise
    ) -> FoundPosts:
        """Answer."""
        self.questions += 1
        answer = self.answer()
        if isinstance(answer, GatewayError):
            raise answer
        return answer

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/journal.db")
    migrate(database.engine)
    yield database
    database.close()


@pytest.fixture(name="seal", scope="module")
def _seal() -> Seal:
    return Seal((Seal.new_key(),))


@pytest.fixture(name="store")
def _store(database: Database, seal: Seal) -> Engagements:
    return Engagements(database, seal)


def notify(store: Engagements, *posts: Engagement) -> None:
    """Store posts as notifications bring them."""
    store.apply([EngagementChange(engagement=each) for each in posts])


def test_without_a_question_the_stored_posts_are_known(store: Engagements) -> None:
    """Where the index may not be asked, notifications are all that is known."""
    notify(store, post(1))
    posts = StoredPosts(store, None, asked_again_after=FRESH)

    assert posts.posts_of(GRANT, within=WITHIN) == IndexedPosts(posts=(post(1),))


def test_an_answer_is_good_for_a_while(store: Engagements) -> None:
    """The index is asked once, and its answer is stored."""
    index = MemoryIndex(lambda: FoundPosts(posts=(post(2),)))
    posts = StoredPosts(store, index, asked_again_after=FRESH)

    answers = [posts.posts_of(GRANT, within=WITHIN) for _ in range(3)]

    assert answers == [IndexedPosts(posts=(post(2),))] * 3
    assert index.questions == 1


def test_an_old_answer_is_asked_for_again(store: Engagements) -> None:
    """After its time the index is asked anew, and what is gone is forgotten."""
    found = iter([(post(1), post(2)), (post(2),)])
    index = MemoryIndex(lambda: FoundPosts(posts=next(found)))
    posts = StoredPosts(store, index, asked_again_after=timedelta())

    first, second = (posts.posts_of(GRANT, within=WITHIN) for _ in range(2))

    assert {each.booking_id for each in first.posts} == {"B-1", "B-2"}
    assert second == IndexedPosts(posts=(post(2),))


def test_an_index_that_is_away_is_said(store: Engagements) -> None:
    """What is stored is returned, with a sentence that says what may be missing."""
    notify(store, post(1))
    index = MemoryIndex(lambda: Unavailable("The source did not answer in time."))
    posts = StoredPosts(store, index, asked_again_after=FRESH)

    with capture_logs() as logs:
        answer = posts.posts_of(GRANT, within=WITHIN)

    assert answer.posts == (post(1),)
    assert answer.missing is not None
    assert "ask again later" in answer.missing
    assert [each["event"] for each in logs] == ["engagement index could not be asked"]
    assert [mark for mark in MARKS if mark in repr(logs)] == []


def test_an_index_that_stays_away_is_left_alone(store: Engagements) -> None:
    """After some failures in a row nobody waits for it, and each answer says so."""
    index = MemoryIndex(lambda: Unavailable("The source did not answer in time."))
    posts = StoredPosts(store, index, asked_again_after=FRESH)

    answers = [posts.posts_of(GRANT, within=WITHIN) for _ in range(20)]

    assert index.questions == 5
    assert all(each.missing for each in answers)


def test_what_cannot_be_read_of_an_answer_is_said(store: Engagements) -> None:
    """An answer with a post that cannot be read is used, and is not whole."""
    index = MemoryIndex(lambda: FoundPosts(posts=(post(1),), unread=1))
    posts = StoredPosts(store, index, asked_again_after=FRESH)

    answer = posts.posts_of(GRANT, within=WITHIN)

    assert answer.posts == (post(1),)
    assert answer.missing is not None


def test_units_are_named_once() -> None:
    """Several posts of a unit are one question."""
    posts = IndexedPosts(
        posts=(post(1, unit="SE2-B"), post(2, unit="SE2-A"), post(3, unit="SE2-B"))
    )

    assert posts.units == (HsaId("SE2-A"), HsaId("SE2-B"))


def test_possible_invitations_are_those_that_are_no_bookings() -> None:
    """`NA` does not say what it is about."""
    posts = IndexedPosts(
        posts=tuple(post(which, category=each) for which, each in enumerate(Category))
    )

    assert {each.category for each in posts.possible_invitations} == {
        Category.INVITATION,
        Category.NOT_STATED,
    }


def test_without_an_index_nothing_is_missing() -> None:
    """A gateway without an index has no posts, and promises none."""
    assert NoIndex().posts_of(GRANT, within=WITHIN) == IndexedPosts()


def test_upkeep_forgets_old_posts(
    store: Engagements, database: Database, seal: Seal
) -> None:
    """Posts go when they have been kept long enough."""
    notify(store, post(1))
    outbox = IndexOutbox(database, seal, {})

    with capture_logs() as logs:
        IndexUpkeep(outbox, store, kept=timedelta(days=-400)).run_once()

    assert store.of(TOLVAN).posts == ()
    assert [(each["event"], each["forgotten"]) for each in logs] == [
        ("index upkeep done", 1)
    ]
