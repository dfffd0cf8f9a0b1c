"""
`$bulk-publish`: the open feed (SMART Scheduling Links, HL7 uv.ssl 0.1.0).

    file_name            the names of the files
    publication          what the feed has at one moment: manifest and files
    published_resources  what is in the files, beside slots
    publisher            makes the next publication when something has changed
    routes               the manifest and the files over HTTP
"""
