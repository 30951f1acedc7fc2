"""Events and a program's own database: written with its data, sent after its commit, handled once. `docs/outbox.md`.

    publisher   Publisher: what a relay needs of a registry
    tables      the tables in SQLite and PostgreSQL; which of the two a connection is
    rows        an event as a row of the outbox, and the call that publishes it again
    saga_rows   a declared saga as a row of the outbox, and the call that begins it
    saga_sending  the journal that such a row names, in which each attempt begins its saga
    writing     Outbox, AsyncOutbox: an event is written in the program's transaction
    leases      the right to send, in SQLite: a row that says who sends, and until when
    locks       a lock that another transaction holds: for how long a relay waits
    sending     one pass over the rows that wait: read, publish, take out
    relays      the relays of this process: wake, forks, the end of the program
    relay       Relay, relay_once: the thread that makes these passes
    transactions  a transaction around a handler: of its own, or the program's
    program_block  what a program does in a transaction: whether the transaction keeps it
    inbox       Inbox, AsyncInbox: an event's effect and the note that it happened, in one transaction

Nothing here imports sqlite3 or psycopg before a program hands in a connection of it.
"""
