"""
The adapter for StoreLog 2.0 (informationsecurity:auditing:log), and its options.
"""

from fhir_gateway.adapters.store_log.adapter import StoreLog20
from fhir_gateway.adapters.store_log.options import (
    LogServiceOptions,
    WrongLogService,
    log_service_options,
)

__all__ = ["LogServiceOptions", "StoreLog20", "WrongLogService", "log_service_options"]
