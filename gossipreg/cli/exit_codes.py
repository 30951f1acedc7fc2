"""What a command ends with, beside 0 (done) and 1 (a plain no)."""

USAGE, UNREACHABLE, REFUSED, NOT_STARTED, INTERRUPTED, READER_GONE = 2, 3, 4, 5, 130, 141
