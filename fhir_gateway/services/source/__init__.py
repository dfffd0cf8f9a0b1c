"""
Access to sources: which source to ask, when, and which parts of the answers count.

    source_access    asks one source about residents and their times
    directory        the catalogue of all sources
    known_catalogue  one source's catalogue, as far as the refresh has learnt it
    breaker          stops calls to an interaction that fails as a whole
    pace             spaces calls evenly
    window           the periods to ask for
    listed_times     the free times of an answer
    loss_log         logs what was left out of answers
    recheck          asks the refresh to look again
    source_check     makes each call to a source once, for the operator
    source_overview  the state of each source, for the operator
"""
