"""
Adapters ask a source: the Protocol, the registry, and crm:scheduling 1.1.
"""
