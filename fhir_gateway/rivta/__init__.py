"""
The contracts on the wire: what every contract shares (RIVTABP21), and their folders.

A folder like `scheduling_1_1` holds the contracts of one domain. Each contract
is a module with the two messages as dataclasses and a `CONTRACT` that says what it is
called, whether it writes, and how large its answers may be.

Writing is strict (order, namespaces, the schemas' own misspellings, no empty
elements); reading is lenient (order and namespaces are not held against a producer,
empty elements are absent, unknown ones are ignored).
"""
