"""The history of this sidecar: what is worth a line, where lines are kept, and who reads them.

    history          the parts, joined: notes come in, lines are kept, followed and read
    history_note     something that happened, before it is a line
    from_log         lines of the log that are lines of the history;  log_words: their words
    from_answers     instances that came into the answers, or left them
    own_words        what may be kept of a text that a program wrote
    line_rates       a storm of the same becomes a few lines and a count
    recent_lines     the last lines, in memory
    history_disk     the queue to the disk;  history_database: the file
    clock_watch      whether the wall clock was set
    history_method   the parameters of the method `history`;  history_follow: lines as they come
    history_asked    loads what follows when somebody asks
    history_everywhere  what all members saw;  asked_answers: their answers, read

What a line is stands in `gossipreg/history/`.
"""
