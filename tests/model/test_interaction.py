"""
An interaction is known by its name, and says whether it writes.
"""

from fhir_gateway.model.interaction import Interaction


def test_an_interaction_is_known_by_its_name() -> None:
    """Two interactions of one name are equal, however they were made."""
    read_back = Interaction("MakeBooking")
    made = Interaction("MakeBooking", writes=True)

    assert (read_back, hash(read_back)) == (made, hash(made))


def test_an_interaction_only_reads_unless_it_says_so() -> None:
    """Who makes an interaction says that it writes."""
    writes = (Interaction("GetPerson").writes, Interaction("Book", writes=True).writes)

    assert writes == (False, True)


def test_an_interaction_is_shown_by_its_name() -> None:
    """Its text is the contract's name alone."""
    assert str(Interaction("GetPerson")) == "GetPerson"
