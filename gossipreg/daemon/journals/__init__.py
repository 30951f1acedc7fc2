"""The journals of a sidecar on its disk: one SQLite database for all of them, beside that of the identity. Loaded only
by a sidecar that has journals.

    store        what the loop asks and is answered;  disk_thread: what does it, one commit for all that waits
    results      the answers
    opening      finds out which replicas may still take part;  loading: reads them and examines each row
    database     transactions and reads;  writing: a transaction as rows
    noted        the file of acknowledged writes: tells when the database went back in time
    tables       the file and its tables;  forms: rows as bytes, with their checksums
"""
