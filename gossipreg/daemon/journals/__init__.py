"""The journals of a sidecar on its disk: one SQLite database for all of them, beside that of the identity. Loaded only
by a sidecar that has journals.

    composing    the journals of a sidecar, with its node, streams and data directory
    journal_setup  what was chosen for them
    runtime      the journals in the daemon: inputs in, effects carried out;  follower: what stands on them
    journal_share  how several stand on them: tickets that do not meet, the sum of acts
    own_journal   that of this sidecar: no other one is opened while it may come back
    led_journals  what these ask of the journals here
    journal_disk  the store over the life of a sidecar: opened, and opened again;  journal_reports: log and troubles
    journals_shown  what `info`, `gossipreg journal` and the metrics show;  led_proofs: proofs of leadership for it
    leaderless_journals  which of them nobody leads: announced, and then a trouble
    giving_up    which replicas must not take part any more: of a restored backup, of a file that is gone
    leaving      how a sidecar hands over its journals before it leaves
    hung_disk    notices a disk that hangs;  recovering: an operator makes one copy the only voter
    waiting_messages  what came before the database was open
    store        what the loop asks and is answered;  disk_thread: what does it, one commit for all that waits
    results      the answers
    opening      finds out which replicas may still take part;  loading: reads them and examines each row
    database     transactions and reads;  writing: a transaction as rows
    noted        the file of acknowledged writes: tells when the database went back in time
    statements   of many rows at a time
    tables       the file and its tables;  forms: rows as bytes, with their checksums
"""
