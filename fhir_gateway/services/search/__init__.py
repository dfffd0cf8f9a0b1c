"""
Search: free times from memory, and from live sources.

    slot_view            follows the store, and keeps the present snapshot
    snapshot             all free times at one moment: what a search reads
    snapshot_builder     builds the next snapshot from what has changed
    offering_table       the last answer about each numbered time type
    offering_numbers     numbers for time types
    schedule_table       numbers for schedules
    slot_columns         the times of one segment, in columns
    held_timeslots       reads from the journal what is promised away
    changed_places       says at once which places a booking has changed
    held_places          how many places of each time that leaves
    offering_index       the directory by number, to narrow a search
    first_times          the earliest time of each unit
    slot_criteria        what a client looks for
    schedule_actor       which actors schedules have, by id or by name
    slot_selection       what a selector chooses in a snapshot
    selection_cache      selections that came before
    slot_search          finds the times
    search_page          the page that a search returns
    source_availability  which sources' parts are missing or old
    source_outcome       what is missing of one source
    search_hint          hints for the refresh: ageing times that clients search for
    live_search          asks live sources within a search
    live_source          one live source, and what bounds the calls to it
    live_round           the calls of one search to it
"""
