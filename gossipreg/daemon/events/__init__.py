"""Events for the programs beside this sidecar: the pure parts of `gossipreg/events/` over its journals and its local
socket. Loaded when something here publishes or subscribes, or when a journal is here.

    event_params    the parameters of the methods, checked
    event_shapes    an event as clients get it
    event_programs  who handles events here, and who waits for a publish
    event_client    the subscriptions of one connection, and what it has not acknowledged
    asked_members   questions to members;  own_answers: those of other members that the sidecar itself answers
    ended_journals  whether one that nobody leads has ended
    member_answers  what members say to a question, read before it is joined
    events_shown    what `info` and the metrics show of them
    event_spans     the spans of publishing and handling
    event_reports   what the log says of them, and troubles
    row_announcements  what the row says of subscriptions and groups, and what has no room there
    kept_groups     the groups kept over a restart, and the answers that wait until the disk has them
    local_events    composes the events with the journals of the sidecar
"""
