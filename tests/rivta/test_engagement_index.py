"""
The engagement index 1.0: what is written, against its schemas, and what is read.
"""

from datetime import UTC, datetime, timedelta

import pytest
from engagements import TOLVAN, post
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from fhir_gateway.model.engagement import (
    SERVICE_DOMAIN,
    Category,
    Engagement,
    EngagementChange,
)
from fhir_gateway.model.ids import BookingId, HsaId, LogicalAddress
from fhir_gateway.national.engagement_index.mapping import (
    change_from_transaction,
    engagement_from_type,
    transaction_from_change,
    type_from_engagement,
)
from fhir_gateway.rivta.engagement_index_1_0 import (
    find_content,
    process_notification,
    update,
)
from fhir_gateway.rivta.envelope import (
    read_call,
    read_request,
    read_response,
    write_request,
    write_response,
)
from fhir_gateway.rivta.rejection import MalformedElement

from .conftest import Canonical, Recorded, Validate

ADDRESS = LogicalAddress("SE165565594230-1000")

_HSA_IDS = st.from_regex(r"[A-Z0-9][A-Z0-9.\-]{0,30}", fullmatch=True).map(HsaId)
POSTS = st.builds(
    Engagement,
    resident=st.just(TOLVAN),
    category=st.sampled_from(Category),
    unit=_HSA_IDS,
    booking_id=st.text(
        st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["C"]),
        min_size=1,
        max_size=128,
    )
    .filter(lambda text: bool(text.strip()))
    .map(BookingId),
    source_system=_HSA_IDS,
    data_controller=st.from_regex(r"[0-9]{6}-[0-9]{4}", fullmatch=True),
    # Not in the hour that autumn repeats, which civil time states twice.
    starts_at=st.none()
    | st.integers(0, 3_000).map(
        lambda hours: datetime(2027, 4, 1, tzinfo=UTC) + timedelta(hours=hours)
    ),
)


def parts(document: bytes) -> list[etree._Element]:
    """Return the elements of the header and the body."""
    return [element for part in etree.fromstring(document) for element in part]


def update_of(*changes: EngagementChange) -> bytes:
    """Return the document of Update."""
    return write_request(
        update.CONTRACT,
        update.Request(transactions=tuple(map(transaction_from_change, changes))),
        logical_address=ADDRESS,
        actor=None,
    )


@settings(max_examples=examples(60), deadline=None)
@given(
    changes=st.lists(
        st.builds(EngagementChange, engagement=POSTS, is_deleted=st.booleans()),
        min_size=1,
        max_size=5,
    )
)
def test_any_update_is_valid(
    changes: list[EngagementChange], validate_index: Validate
) -> None:
    """Any changes make a valid message: its header and its body."""
    document = update_of(*changes)

    assert [validate_index(element) for element in parts(document)] == [[], []]


@settings(max_examples=examples(60), deadline=None)
@given(engagement=POSTS)
def test_a_post_reads_back(engagement: Engagement) -> None:
    """What the mapping writes, it reads as the same post."""
    assert engagement_from_type(type_from_engagement(engagement)) == engagement


@settings(max_examples=examples(60), deadline=None)
@given(engagement=POSTS)
def test_a_sealed_post_reads_back(engagement: Engagement) -> None:
    """A post survives its encrypted row."""
    assert Engagement.from_mapping(engagement.as_mapping()) == engagement


def test_an_update_is_as_recorded(recorded: Recorded, canonical: Canonical) -> None:
    """A change is a deletion without a time, and a new post of category NA."""
    document = update_of(
        EngagementChange(engagement=post(1), is_deleted=True),
        EngagementChange(engagement=post(2)),
    )

    assert canonical(document) == canonical(
        recorded("engagement_index/Update.change.request")
    )


@pytest.mark.parametrize(
    "name", ["Update.change.request", "ProcessNotification.older.request"]
)
def test_the_recordings_are_valid(
    name: str, recorded: Recorded, validate_index: Validate
) -> None:
    """The recordings keep to the schemas."""
    document = recorded(f"engagement_index/{name}")

    assert [validate_index(element) for element in parts(document)] == [[], []]


def test_a_notification_reads(recorded: Recorded) -> None:
    """An older source's post has its category, and the index's own times."""
    call = read_call(recorded("engagement_index/ProcessNotification.older.request"))

    request = read_request(process_notification.CONTRACT, call)

    assert list(map(change_from_transaction, request.transactions)) == [
        EngagementChange(
            engagement=post(1, category=Category.INVITATION, starts_at=None),
            updated_at=datetime(2027, 2, 1, 7, 0, tzinfo=UTC),
        ),
        EngagementChange(
            engagement=post(2, category=Category.BOOKING),
            is_deleted=True,
        ),
        None,
    ]


def test_a_time_at_the_end_is_read(recorded: Recorded) -> None:
    """`mostRecentContent` is read where some senders put it: after all the others."""
    document = recorded("engagement_index/Update.change.request")
    moved = document.replace(
        b"<core:mostRecentContent>20270301093000</core:mostRecentContent>", b""
    ).replace(
        b"</core:dataController>",
        b"</core:dataController>"
        b"<core:mostRecentContent>20270301093000</core:mostRecentContent>",
    )

    request = read_request(update.CONTRACT, read_call(moved))

    assert [each.engagement.most_recent_content for each in request.transactions] == [
        "20270301093000"
    ] * 2


@pytest.mark.parametrize("flag", [b"maybe", b""])
def test_whether_to_delete_is_never_guessed(flag: bytes, recorded: Recorded) -> None:
    """A flag that cannot be read makes the message malformed."""
    document = recorded("engagement_index/Update.change.request").replace(
        b">true<", b">" + flag + b"<"
    )

    with pytest.raises(MalformedElement):
        read_request(update.CONTRACT, read_call(document))


def test_a_question_is_valid(validate_index: Validate) -> None:
    """FindContent has the resident and the service domain, and no category."""
    document = write_request(
        find_content.CONTRACT,
        find_content.Request(
            registered_resident_identification=TOLVAN.reveal(),
            service_domain=SERVICE_DOMAIN,
        ),
        logical_address=ADDRESS,
        actor=None,
    )

    assert [validate_index(element) for element in parts(document)] == [[], []]


def test_an_answer_is_valid_and_reads_back(validate_index: Validate) -> None:
    """So does what the index finds."""
    response = find_content.Response(
        engagements=(type_from_engagement(post(1)), type_from_engagement(post(2)))
    )

    document = write_response(find_content.CONTRACT, response)

    assert [validate_index(element) for element in parts(document)] == [[]]
    assert read_response(find_content.CONTRACT, document).response == response


@pytest.mark.parametrize("code", ["OK", "ERROR", "INFO"])
def test_a_result_is_valid_and_reads_back(code: str, validate_index: Validate) -> None:
    """The element of the result has a capital letter."""
    response = process_notification.Response(result_code=code, comment="EI002: two")

    document = write_response(process_notification.CONTRACT, response)

    assert [validate_index(element) for element in parts(document)] == [[]]
    assert read_response(process_notification.CONTRACT, document).response == response


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("service_domain", "riv:clinicalprocess:healthcond:description"),
        ("categorization", "Referral"),
        ("registered_resident_identification", "19121212T123"),
        ("registered_resident_identification", "191212121213"),
        ("logical_address", "not an address"),
    ],
)
def test_a_post_of_no_use_is_none(element: str, value: str) -> None:
    """Posts of other domains, other content and other persons are left out."""
    fields = vars(type_from_engagement(post())) | {element: value}

    assert engagement_from_type(type(type_from_engagement(post()))(**fields)) is None


def test_a_domain_with_its_urn_is_read() -> None:
    """Some senders write the service domain with `urn:`."""
    fields = vars(type_from_engagement(post())) | {
        "service_domain": f"urn:{SERVICE_DOMAIN}"
    }

    assert engagement_from_type(type(type_from_engagement(post()))(**fields)) == post()
