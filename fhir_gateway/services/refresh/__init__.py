"""
Refresh: the worker asks sources for their free times and stores the answers.

    worker_share     which sources this worker asks: those with its lease
    lease_deadline   until when it may ask a source
    source_refresh   asks one source, within its budget, and stores the answers
    refresh_run      what it knows of the source while it has the lease
    queue            what to ask next
    question         what can be asked
    calls            the calls to the source
    block_refresh    asks for the free times of one time type
    suspicion        whether to accept an answer
    block_memory     what the refresh remembers of the stored blocks
    source_reporter  stores the source's status, and logs its changes
    status_summary   what the status says
"""
