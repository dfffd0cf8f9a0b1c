"""
RIV-TA messages: what all contracts share (RIVTABP21), and a folder for each domain.

A folder like `scheduling_1_1` holds the contracts of one domain. Each contract is a
module: its two messages are dataclasses, and its `CONTRACT` states its name, whether it
writes, and how large its answers may be.

Writing is strict: the schema's order, namespaces and misspellings, no empty elements.
Reading is lenient: any order, related namespaces, empty elements count as absent,
extensions are ignored.
"""
