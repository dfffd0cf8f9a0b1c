"""
Access to sources: whom to ask, when, and what of the answers counts.

    source_access    asks one source about residents and their times
    directory        what all sources offer
    known_catalogue  what one source offers, as far as the refresh has learnt it
    breaker          stops calls of what fails as a whole
    pace             spaces calls evenly
    window           the periods to ask for
    listed_times     the free times of an answer
    loss_log         logs what was left out of answers
    recheck          asks the refresh to look again
    source_check     asks a source everything once, for the operator
    source_overview  the state of each source, for the operator
"""
