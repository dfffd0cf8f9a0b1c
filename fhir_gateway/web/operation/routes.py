"""
The operations on Appointment, and that on Slot, as routes.
"""

from fhir_gateway.access.policy import Interaction
from fhir_gateway.fhir.limits import MOST_SENT_BACK_BYTES
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.operation.book import Book
from fhir_gateway.web.operation.cancel import Cancel
from fhir_gateway.web.operation.find import Find
from fhir_gateway.web.operation.hold import Hold
from fhir_gateway.web.operation.relations import Relations
from fhir_gateway.web.operation.reschedule import Reschedule
from fhir_gateway.web.operation.validate import Validate
from fhir_gateway.web.resource import Handling, OperationRoute

__all__ = ["appointment_operations", "slot_operations"]


def appointment_operations(gateway: Gateway) -> tuple[OperationRoute, ...]:
    """Return the operations of Appointment."""
    return (
        OperationRoute(
            name="find",
            definition="appointment-find",
            view=Find(gateway).answer,
            affects_state=False,
            on_instance=False,
            handling=Handling(),
        ),
        *(
            OperationRoute(
                name=name,
                definition=f"appointment-{name}",
                view=view,
                handling=Handling(may_wait=True, most_bytes=MOST_SENT_BACK_BYTES),
                affects_state=name != "validate",
            )
            for name, view in (
                ("hold", Hold(gateway).answer),
                ("book", Book(gateway).answer),
                ("cancel", Cancel(gateway).answer),
                ("reschedule", Reschedule(gateway).answer),
                ("validate", Validate(gateway).answer),
            )
        ),
        *(
            OperationRoute(
                name=name,
                definition=f"appointment-{name}",
                view=view,
                handling=Handling(may_wait=True),
                affects_state=name == "relate",
                on_instance=False,
            )
            for name, view in (
                ("relations", Relations(gateway).answer),
                ("relate", Relations(gateway).change),
            )
        ),
    )


def slot_operations(gateway: Gateway) -> tuple[OperationRoute, ...]:
    """Return the operations of Slot: those of Appointment at another address."""
    return (
        OperationRoute(
            name="hold",
            definition="slot-hold",
            view=Hold(gateway).answer,
            handling=Handling(may_wait=True, most_bytes=MOST_SENT_BACK_BYTES),
            on_instance=False,
            acts_as=Interaction("Appointment", "$hold"),
        ),
    )
