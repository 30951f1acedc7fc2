"""What a member knows: rows and their content, the table, and the membership index (ring, catalog) that follows it.

The entries of one row:

    layout         the keys of entries, and how a value is cut into parts
    content        what the owner wrote, as far as it has arrived here
    own_content    the owner's side: it writes, and throws tombstones away

The table, which alone changes rows:

    row            one member's row: its state, and the precedence of claims
    own_entry      a member's own entry (name, addresses, status), read from its row
    shadow         how a page is taken into the content, or into the full row that replaces it
    table          all rows: merging, limits, and every change of a row
    fingerprint    64 bits that are equal if tables are equal, and their buckets
    forgetting     when the rows of members that are gone are removed
    changes        which rows the current input has changed
    facts          what a merge found, as values

What follows the table:

    membership     keeps ring, names and catalog in step, and returns what other parts have to act on
    ring           the living members in the order of their ids
    names          members by name
    announcements  what members announce for other parts of their sidecars
    catalog        the instances by name, as lookups give them out
    shown_row      the instances of one row, made of its content
    gone_services  the services of dead members
    kept_rows      rows of the last run, which answer until this member is synced
"""
