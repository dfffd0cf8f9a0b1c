"""
Make-believe regions: real SOAP servers on loopback, with a ledger and faults on demand.

Three regions answer crm:scheduling 1.1, each with the habits of a system that has been
seen. Nothing but the commands knows them; nothing here is for a public network.
"""
