"""
Simulated regions: SOAP servers on loopback, with a ledger and configurable faults.

Three regions answer crm:scheduling 1.1, each with the habits of a real system. Only the
commands use them. Never expose them to a public network.
"""
