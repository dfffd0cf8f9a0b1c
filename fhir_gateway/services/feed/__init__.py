"""
The open feed: files of everything that is free, made in the background and kept.

    feed_files  makes each file once, and keeps it until its contents change
    spool       the files' bytes, on disk
"""
