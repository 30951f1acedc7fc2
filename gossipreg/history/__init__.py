"""History: what a sidecar saw, one line for each thing that happened, in words for people. Pure.

    history_line     one line, and the shape in which clients, the page and other members get it
    history_query    what a reader wants to see, and which lines are that
    line_ages        how long ago lines were written, though the clock was set
    clock_offset     how far the clock of another member is ahead
    merged_history   what several members saw, in one order
    disagreements    where they contradict each other

Where lines come from and are kept is in `daemon/history/`.
"""
