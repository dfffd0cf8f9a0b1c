"""
The contracts on the wire: RIV-TA crm:scheduling 1.1 over RIVTABP21.

Writing is strict (order, namespaces, the schemas' own misspellings, no empty
elements); reading is lenient (order and namespaces are not held against a producer,
empty elements are absent, unknown ones are ignored).
"""
