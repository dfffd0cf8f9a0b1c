"""
The sandbox's engagement index, asked by the real adapter.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from engagements import TOLVAN, post

from fhir_gateway.model.engagement import Category, EngagementChange
from fhir_gateway.model.errors import GatewayError, SourceFault, Unavailable
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.national.engagement_index import (
    EngagementIndex10,
    UpdateResult,
    engagement_index_options,
)
from fhir_gateway.sandbox.server import SandboxServer

OTHER = PersonalIdentityNumber("197010632391")
TIMEOUT_S = 10
WITHIN = timedelta(seconds=5)
# What a client sees when the answer does not arrive, whether it was taken or not.
LOST = [
    *("refuse", "hang", "drop-before-processing", "deliver-nothing", "vp-fault"),
    *("wrong-status", "drop-after-processing"),
]


def index_of(url: str, folder: Path, *, address: str = "SE165565594230-1000") -> Any:
    """Return the adapter of the index at a URL."""
    path = folder / "index.toml"
    path.write_text(
        f'endpoint = "{url}"\nlogical_address = "{address}"\ntimeout_s = 1\n',
        encoding="utf-8",
    )
    return EngagementIndex10(engagement_index_options(path))


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=300) as server:
        yield server


@pytest.fixture(name="index")
def _index(server: SandboxServer, tmp_path: Path) -> Iterator[EngagementIndex10]:
    index: EngagementIndex10 = index_of(f"{server.url}/rivta/index", tmp_path)
    yield index
    requests.delete(f"{server.url}/faults/index", timeout=TIMEOUT_S)
    for found in (TOLVAN, OTHER):
        for each in index.find_content(found, within=WITHIN).posts:
            if each.source_system == post().source_system:
                index.update([gone(each)])


def gone(engagement: Any) -> EngagementChange:
    """Return the change that deletes a post."""
    return EngagementChange(engagement=engagement, is_deleted=True)


def made(which: int = 1, **changes: Any) -> EngagementChange:
    """Return the change that makes a post."""
    return EngagementChange(engagement=post(which, **changes))


def own(index: EngagementIndex10, number: PersonalIdentityNumber = TOLVAN) -> list[Any]:
    """Return the posts that a test has made."""
    return [
        each
        for each in index.find_content(number, within=WITHIN).posts
        if each.source_system == post().source_system
    ]


def spoil(server: SandboxServer, **rule: object) -> None:
    """Make calls fail."""
    requests.post(
        f"{server.url}/faults/index", json=rule, timeout=TIMEOUT_S
    ).raise_for_status()


def test_a_post_is_found(index: EngagementIndex10) -> None:
    """What Update hands over, FindContent finds: the resident's, and nobody else's."""
    result = index.update([made(1), made(2, resident=OTHER)])

    assert (result, own(index), own(index, OTHER)) == (
        UpdateResult.ACCEPTED,
        [post(1)],
        [post(2, resident=OTHER)],
    )


def test_a_change_of_the_time_is_no_new_post(index: EngagementIndex10) -> None:
    """The time is no part of the key."""
    later = datetime(2027, 4, 1, 8, 0, tzinfo=UTC)
    index.update([made(1)])
    index.update([made(1, starts_at=later)])

    assert own(index) == [post(1, starts_at=later)]


def test_a_deletion_deletes(index: EngagementIndex10) -> None:
    """A deletion and a new post can be one message; a repeat changes nothing."""
    index.update([made(1)])
    for _ in range(2):
        index.update([gone(post(1)), made(2)])

    assert own(index) == [post(2)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([made(1), gone(post(1))], id="two of one key"),
        pytest.param([made(1, starts_at=None)], id="without a time"),
    ],
)
def test_a_broken_rule_is_a_refusal(
    index: EngagementIndex10, changes: list[EngagementChange]
) -> None:
    """The index refuses the whole message, and the adapter says so."""
    assert index.update([made(9), *changes]) is UpdateResult.REFUSED
    assert own(index) == []


def test_more_than_a_thousand_posts_are_a_fault(index: EngagementIndex10) -> None:
    """EI000 is the index's word for everything else, so that it is no refusal."""
    with pytest.raises(SourceFault):
        index.update([made(which) for which in range(1001)])


def test_another_address_is_a_refusal(server: SandboxServer, tmp_path: Path) -> None:
    """EI003: the message was for another index."""
    index = index_of(f"{server.url}/rivta/index", tmp_path, address="SE1-2")

    assert index.update([made(1)]) is UpdateResult.REFUSED


def test_error_is_a_refusal(server: SandboxServer, index: EngagementIndex10) -> None:
    """A result is as good as a fault."""
    spoil(server, fault="error", count=1)

    assert index.update([made(1)]) is UpdateResult.REFUSED
    assert own(index) == []


def test_info_is_a_yes(server: SandboxServer, index: EngagementIndex10) -> None:
    """INFO means done."""
    spoil(server, fault="info", count=1)

    assert index.update([made(1)]) is UpdateResult.ACCEPTED
    assert own(index) == [post(1)]


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("interaction", ["Update", "FindContent"])
def test_a_lost_answer_is_an_error(
    server: SandboxServer, index: EngagementIndex10, kind: str, interaction: str
) -> None:
    """However it fails, nobody takes it for a yes, or for a resident without posts."""
    spoil(server, fault=kind, count=1, interactions=[interaction])

    ask = {
        "Update": lambda: index.update([made(1)]),
        "FindContent": lambda: index.find_content(
            TOLVAN, within=timedelta(seconds=0.5)
        ),
    }[interaction]

    with pytest.raises(GatewayError):
        ask()


def test_the_deadline_of_a_question_is_kept(
    server: SandboxServer, index: EngagementIndex10
) -> None:
    """A question waits no longer than its asker."""
    spoil(server, fault="answer-late", seconds=5, count=1)

    with pytest.raises(Unavailable):
        index.find_content(TOLVAN, within=timedelta(seconds=0.2))


def test_regions_keep_their_own_posts(
    server: SandboxServer, index: EngagementIndex10
) -> None:
    """The bookings and invitations of the regions' books are in the index."""
    ledger = requests.get(f"{server.url}/ledger/index", timeout=TIMEOUT_S).json()
    categories = {each["categorization"] for each in ledger["posts"]}
    someone = next(each for each in ledger["posts"] if each["categorization"] == "NA")

    found = index.find_content(
        PersonalIdentityNumber(someone["subject_of_care"]), within=WITHIN
    )

    assert {"NA", "Invitation"} <= categories
    assert someone["booking_id"] in {each.booking_id for each in found.posts}
    assert any(each.category is Category.NOT_STATED for each in found.posts)


def test_a_region_that_does_not_keep_the_index_has_no_posts(
    server: SandboxServer,
) -> None:
    """The sandbox can leave the index of a region to a gateway."""
    url = f"{server.url}/index"
    present = requests.get(url, timeout=TIMEOUT_S).json()
    requests.put(url, json={"keeping": ["norr"]}, timeout=TIMEOUT_S).raise_for_status()

    posts = requests.get(f"{server.url}/ledger/index", timeout=TIMEOUT_S).json()
    requests.put(url, json=present, timeout=TIMEOUT_S).raise_for_status()

    assert {each["logical_address"][:12] for each in posts["posts"]} == {"SE2321009901"}
    assert present["keeping"] == ["mitt", "norr", "syd"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        {"keep": []},
        {"keeping": ["west"]},
        {"subscribers": [{"endpoint": "ftp://a", "logical_address": "b"}]},
        {"subscribers": ["http://a"]},
    ],
)
def test_wrong_options_are_refused(server: SandboxServer, options: object) -> None:
    """What is no option changes nothing."""
    answer = requests.put(f"{server.url}/index", json=options, timeout=TIMEOUT_S)

    assert answer.status_code == 400
