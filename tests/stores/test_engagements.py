"""
The posts of others: kept, found by resident, and never older than what was known.
"""

from datetime import UTC, datetime, timedelta

import pytest
from engagements import MARKS, TOLVAN, post

from fhir_gateway.model.engagement import Category, Engagement, EngagementChange
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.engagements import AppliedChanges, Engagements
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.sealing import Seal

from .conftest import rows

OTHER = PersonalIdentityNumber("197010632391")
EARLY = datetime(2027, 1, 1, 8, 0, tzinfo=UTC)
LATE = EARLY + timedelta(hours=1)


@pytest.fixture(name="store")
def _store(database: Database, keys: tuple[str, ...]) -> Engagements:
    return Engagements(database, Seal(keys))


def made(engagement: Engagement, at: datetime | None = None) -> EngagementChange:
    """Return the change that makes a post."""
    return EngagementChange(engagement=engagement, updated_at=at)


def gone(engagement: Engagement, at: datetime | None = None) -> EngagementChange:
    """Return the change that deletes a post, which states no time."""
    return EngagementChange(
        engagement=engagement.without_start(), is_deleted=True, updated_at=at
    )


def test_posts_are_found_by_resident(store: Engagements) -> None:
    """A resident's posts are found, of every category, and nobody else's."""
    posts = [post(which, category=each) for which, each in enumerate(Category)]

    applied = store.apply([made(each) for each in (*posts, post(9, resident=OTHER))])

    assert applied == AppliedChanges(stored=4, stale=0)
    assert sorted(store.of(TOLVAN).posts, key=lambda each: each.booking_id) == posts


def test_a_repeat_changes_nothing(store: Engagements, database: Database) -> None:
    """A message that arrives twice is no news the second time."""
    changes = [made(post(1)), gone(post(2))]
    store.apply(changes)
    before = rows(database)["engagement"]

    assert store.apply(changes) == AppliedChanges(stored=0, stale=2)
    assert rows(database)["engagement"] == before


@pytest.mark.parametrize(
    ("changes", "posts"),
    [
        pytest.param([made(post())], [post()], id="made"),
        pytest.param([made(post()), gone(post())], [], id="deleted"),
        pytest.param([gone(post())], [], id="never known"),
        pytest.param(
            [made(post(), LATE), made(post(starts_at=EARLY), EARLY)],
            [post()],
            id="an older change arrives late",
        ),
        pytest.param(
            [gone(post(), LATE), made(post(), EARLY)], [], id="a late one revives none"
        ),
        pytest.param(
            [made(post(), LATE), gone(post(), EARLY)],
            [post()],
            id="a late deletion deletes none",
        ),
        pytest.param(
            [gone(post(), EARLY), made(post(), LATE)], [post()], id="made anew"
        ),
        pytest.param(
            [made(post(), EARLY), made(post(starts_at=EARLY), LATE)],
            [post(starts_at=EARLY)],
            id="moved to an earlier time",
        ),
        pytest.param(
            [made(post()), made(post(starts_at=EARLY))],
            [post()],
            id="without the index's time the later visit stays",
        ),
        pytest.param([gone(post()), made(post())], [post()], id="in order of arrival"),
    ],
)
def test_the_newest_change_counts(
    store: Engagements, changes: list[EngagementChange], posts: list[Engagement]
) -> None:
    """The index's times say which change is newer; without them, the arrival."""
    for change in changes:
        store.apply([change])

    assert list(store.of(TOLVAN).posts) == posts


def test_an_answer_replaces_what_was_known(store: Engagements) -> None:
    """FindContent gives all posts of a resident, and says nothing of others'."""
    store.apply([made(post(1)), made(post(2)), made(post(3, resident=OTHER))])

    store.replace(TOLVAN, [post(2), post(4)], asked_ago=timedelta(seconds=-1))

    assert {each.booking_id for each in store.of(TOLVAN).posts} == {"B-2", "B-4"}
    assert store.of(TOLVAN).asked_ago is not None
    assert store.of(OTHER).posts == (post(3, resident=OTHER),)
    assert store.of(OTHER).asked_ago is None


def test_a_notification_during_the_question_stays(store: Engagements) -> None:
    """What arrives after the index was asked is newer than its answer."""
    store.apply([made(post(1)), gone(post(2))])

    store.replace(TOLVAN, [post(2)], asked_ago=timedelta(minutes=1))

    assert store.of(TOLVAN).posts == (post(1),)


def test_a_thousand_posts_are_one_transaction(store: Engagements) -> None:
    """As many posts as a message may have are stored."""
    changes = [made(post(which)) for which in range(1000)]

    assert store.apply(changes).stored == 1000
    assert len(store.of(TOLVAN).posts) == 1000


def test_old_posts_are_purged(store: Engagements) -> None:
    """A post goes when it arrived, and its visit began, long enough ago."""
    store.apply([made(post(1)), made(post(2, starts_at=EARLY)), gone(post(3))])
    store.replace(OTHER, [], asked_ago=timedelta())

    assert store.purge(before=datetime(2026, 1, 1, tzinfo=UTC)) == 0
    assert store.purge(before=LATE) == 2
    assert store.of(TOLVAN).posts == (post(1),)
    assert store.of(OTHER).asked_ago is None


def test_no_row_shows_a_number(store: Engagements, database: Database) -> None:
    """Numbers and ids are sealed; their hashes are keyed."""
    store.apply([made(post(1))])
    store.replace(OTHER, [], asked_ago=timedelta())

    stored = repr(rows(database))

    assert [mark for mark in (*MARKS, "B-1", OTHER.reveal()) if mark in stored] == []


def test_posts_are_resealed(
    store: Engagements, database: Database, keys: tuple[str, ...]
) -> None:
    """After a change of keys a post is found, and deleted, with the new key alone."""
    store.apply([made(post(1)), made(post(2))])
    new = Seal.new_key()
    list(Journal(database, Seal((new, *keys))).upkeep.reseal())
    renewed = Engagements(database, Seal((new,)))

    renewed.apply([gone(post(1))])

    assert renewed.of(TOLVAN).posts == (post(2),)
