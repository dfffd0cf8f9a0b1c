"""
All bookings of one resident.

`resident_bookings` answers. It asks with `list_request` (what), `list_round` (side by
side, until a deadline) and `call_threads`; `merged_list` makes one list of the answers,
`journal_match` finds our record of each booking, `single_reads` reads what no list has,
and `list_outcomes` says what is missing.
"""
