"""
The HTTP headers of the service platform (skltp/vp, HttpHeaders).
"""

from typing import Final

__all__ = [
    "CORRELATION_ID",
    "INSTANCE_ID",
    "ORIGINAL_CONSUMER",
    "PRODUCER_RESPONSE_TIME",
    "ROUTING_HISTORY",
    "SENDER_ID",
]

CORRELATION_ID: Final = "x-skltp-correlation-id"
ORIGINAL_CONSUMER: Final = "x-rivta-original-serviceconsumer-hsaid"
SENDER_ID: Final = "x-vp-sender-id"
INSTANCE_ID: Final = "x-vp-instance-id"
ROUTING_HISTORY: Final = "x-rivta-routing-history"
PRODUCER_RESPONSE_TIME: Final = "x-skltp-prt"
