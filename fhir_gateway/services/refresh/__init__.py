"""
Refresh: the worker's asking of sources, and the storing of their answers.

    worker_share     which sources this worker asks: those that it has the lease of
    source_refresh   asks one source, within its budget
    calls            the calls to it
    queue            what to ask next
    question         what can be asked
    known_catalogue      what its units offer
    memory           what is remembered of the stored blocks
    suspicion        whether an answer is believed
    report           what is told of it
    deadline           for how long the source may be asked
"""
