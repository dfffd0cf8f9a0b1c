"""
The engagement index (itintegration:engagementindex 1.0): its port, and the adapter.
"""

from fhir_gateway.national.engagement_index.adapter import EngagementIndex10
from fhir_gateway.national.engagement_index.notification_endpoint import (
    MOST_BYTES,
    NotificationEndpoint,
    SoapAnswer,
    soap_fault,
)
from fhir_gateway.national.engagement_index.options import (
    EngagementIndexOptions,
    WrongEngagementIndex,
    engagement_index_options,
)
from fhir_gateway.national.engagement_index.port import (
    EngagementIndex,
    FoundPosts,
    UpdateResult,
)

__all__ = [
    "MOST_BYTES",
    "EngagementIndex",
    "EngagementIndex10",
    "EngagementIndexOptions",
    "FoundPosts",
    "NotificationEndpoint",
    "SoapAnswer",
    "UpdateResult",
    "WrongEngagementIndex",
    "engagement_index_options",
    "soap_fault",
]
