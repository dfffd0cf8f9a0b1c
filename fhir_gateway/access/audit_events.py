"""
A resident's own part of the audit trail: who asked for what about them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_gateway.model.audit_entry import AuditRecord
from fhir_gateway.model.grant import Grant
from fhir_gateway.stores.audit import AuditStore

__all__ = ["AuditEvents", "AuditPage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """
    A part of a resident's records, newest first.

    Attributes:
        has_more: There are older ones.
    """

    records: Sequence[AuditRecord]
    has_more: bool


class AuditEvents:
    """
    Finds audit records.

    Args:
        store: Where they are.
    """

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    def find(self, identifier: str) -> AuditRecord | None:
        """
        Return the record of an id; None when there is none.

        The caller needs a grant for its person before it shows anything of it.
        """
        return self._store.find(identifier)

    def list_of(
        self,
        grant: Grant,
        *,
        count: int,
        after: AuditRecord | None = None,
        start: datetime | None = None,
        before: datetime | None = None,
    ) -> AuditPage:
        """
        Return a page of the records that concern the grant's resident.

        Args:
            grant: The grant.
            count: How many at most.
            after: The last record of the page before.
            start: Only those stored then or later.
            before: Only those stored earlier.
        """
        found = self._store.list_of(
            grant.subject,
            limit=count + 1,
            older_than=None if after is None else after.sequence,
            start=start,
            before=before,
        )
        return AuditPage(records=found[:count], has_more=len(found) > count)

    def count_of(
        self,
        grant: Grant,
        *,
        start: datetime | None = None,
        before: datetime | None = None,
    ) -> int:
        """
        Return how many records concern the grant's resident.

        Args:
            grant: The grant.
            start: Only those stored then or later.
            before: Only those stored earlier.
        """
        return self._store.count_of(grant.subject, start=start, before=before)
