"""
All bookings of one resident.

`resident_bookings` answers. It asks with `list_inquiry` (whom), `list_round` (side by
side, until a deadline) and `call_threads`; `merged_list` makes one list of the answers,
`journal_match` finds our record of each booking, `list_description` describes each (by
`single_reads` what no list has), and `list_outcomes` says what is missing.
`care_relations` knows the units to ask, `invitation_reads` reads open invitations.
"""
