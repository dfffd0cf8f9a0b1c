"""
The adapter for StoreLog 2.0.
"""

from collections.abc import Sequence
from typing import Final

from fhir_gateway.adapters.store_log.mapping import log_from_entry, result_from_code
from fhir_gateway.adapters.store_log.options import LogServiceOptions
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.log_entry import LogEntry, LogResult
from fhir_gateway.rivta.client import SoapClient
from fhir_gateway.rivta.store_log_2_0.store_log import CONTRACT, Request, Response
from fhir_gateway.rivta.transport import Credentials, Transport

__all__ = ["StoreLog20"]

_NAME: Final = SourceName("log-service")


class StoreLog20:
    """
    A log service of StoreLog 2.0, asked over SOAP.

    Args:
        options: How to reach it.
    """

    def __init__(self, options: LogServiceOptions) -> None:
        self._options = options
        self._client = SoapClient(
            source=_NAME,
            endpoint=options.endpoint,
            consumer=options.consumer,
            transport=Transport(
                Credentials(certificate=options.certificate, trust=options.trust)
            ),
        )

    def store(self, entries: Sequence[LogEntry]) -> LogResult:
        """
        Hand over entries, and return what the service did with all of them.

        Raises:
            Unavailable: The service could not be reached, or did not answer in time.
            SourceFault: It answered with a fault, or its answer cannot be read.
            Incorrect: The entries cannot be written; nothing was sent.
        """
        response: Response = self._client.call(
            CONTRACT,
            Request(
                logs=tuple(
                    log_from_entry(
                        entry,
                        system_id=self._options.system_id,
                        system_name=self._options.system_name,
                    )
                    for entry in entries
                )
            ),
            logical_address=self._options.logical_address,
            # The contract has no header Actor: each entry names its employee.
            actor=None,
            timeout=self._options.timeout.total_seconds(),
        ).response
        return result_from_code(response.result.result_code)

    def close(self) -> None:
        """Do nothing: each connection is closed after its call."""
