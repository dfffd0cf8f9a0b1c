"""
The engagement index (itintegration:engagementindex 1.0): its port, and the adapter.
"""

from fhir_gateway.national.engagement_index.adapter import EngagementIndex10
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
    "EngagementIndex",
    "EngagementIndex10",
    "EngagementIndexOptions",
    "FoundPosts",
    "UpdateResult",
    "WrongEngagementIndex",
    "engagement_index_options",
]
