"""
Refresh: the worker's asking of sources, and the storing of their answers.

    worker_share     which sources this worker asks: those that it has the lease of
    source_refresh   asks one source, within its budget
    calls            the calls to it
    queue            what to ask next
    question         what can be asked
    window           in which periods free times are asked for
    memory           what is remembered of the stored blocks
    suspicion        whether an answer is believed
    pace, tenure     when a call may leave
"""
