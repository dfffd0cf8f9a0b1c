"""
The adapter for the engagement index 1.0.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from fhir_gateway.model.engagement import (
    SERVICE_DOMAIN,
    EngagementChange,
)
from fhir_gateway.model.errors import SourceFault
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.national.engagement_index.mapping import (
    engagement_from_type,
    transaction_from_change,
)
from fhir_gateway.national.engagement_index.options import EngagementIndexOptions
from fhir_gateway.national.engagement_index.port import FoundPosts, UpdateResult
from fhir_gateway.rivta.client import SoapClient
from fhir_gateway.rivta.engagement_index_1_0 import find_content, update
from fhir_gateway.rivta.transport import Credentials, Transport

__all__ = ["EngagementIndex10"]

_NAME: Final = SourceName("engagement-index")
# The national index answers a broken rule with a fault (skltp/ei). EI000 stands for
# everything else, also for a failure of its own.
_RULE: Final = re.compile(r"EI00[1-9]")
_ACCEPTED: Final = frozenset({"OK", "INFO"})


class EngagementIndex10:
    """
    An engagement index, asked over SOAP.

    Its contracts have no header Actor.

    Args:
        options: How to reach it.
    """

    def __init__(self, options: EngagementIndexOptions) -> None:
        self._options = options
        self._client = SoapClient(
            source=_NAME,
            endpoint=options.endpoint,
            consumer=options.consumer,
            transport=Transport(
                Credentials(certificate=options.certificate, trust=options.trust)
            ),
        )

    def update(self, changes: Sequence[EngagementChange]) -> UpdateResult:
        """Hand over changed posts; see `EngagementIndex`."""
        try:
            response: update.Response = self._client.call(
                update.CONTRACT,
                update.Request(
                    transactions=tuple(map(transaction_from_change, changes))
                ),
                logical_address=self._options.logical_address,
                actor=None,
                timeout=self._options.timeout.total_seconds(),
            ).response
        except SourceFault as error:
            if _RULE.match(error.detail or ""):
                return UpdateResult.REFUSED
            raise
        if response.result_code.strip().upper() in _ACCEPTED:
            return UpdateResult.ACCEPTED
        return UpdateResult.REFUSED

    def find_content(
        self, resident: PersonalIdentityNumber, *, within: timedelta
    ) -> FoundPosts:
        """Return the posts about a resident; see `EngagementIndex`."""
        answer = self._client.call(
            find_content.CONTRACT,
            # Without a category: sources of older versions state one, others `NA`.
            find_content.Request(
                registered_resident_identification=resident.reveal(),
                service_domain=SERVICE_DOMAIN,
            ),
            logical_address=self._options.logical_address,
            actor=None,
            timeout=min(within, self._options.timeout).total_seconds(),
        )
        response: find_content.Response = answer.response
        found = [
            each
            for each in map(engagement_from_type, response.engagements)
            # An index that ignores the filter must not give one resident another's.
            if each is not None and each.resident == resident
        ]
        return FoundPosts(posts=tuple(found), unread=sum(answer.rejected.values()))

    def close(self) -> None:
        """Do nothing: each connection is closed after its call."""
