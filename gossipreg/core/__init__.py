"""The protocol, without clock, socket or randomness of its own. Start reading at `node`.

The tools of all parts:

    effects    what the core asks of the world: datagrams to send, changes, events
    context    settings, the time of the current input, timers, randomness, counters

The rooms. Each one imports only rooms above it in this list; gossip and failure do not import each other:

    table/     what is known: rows, the table of them, the ring and the catalog that follow it
    session/   who may speak, and how bytes leave: handshake, sessions, outbox, round trips, path MTU
    gossip/    how updates reach the other members: dissemination, pulls, anti-entropy, joining
    failure/   who is alive: probing, suspicion, isolation, flap damping, quarantine
    local/     this member itself: its row and address, identity conflicts, leaving

What stands over the rooms:

    node       one member, made of the parts: the order of things within one input
    order      which part acts on which message, and what follows from each fact of the table
    due        which part acts when a timer is due
    commands   what its own sidecar asks it to do
    view       what can be read of it;  followers: who is told of changes of the answers
    dead_services  the services of dead members, for people
    journal_membership  what the journals ask of the registry, answered from a node;  event_membership: what events ask
    announced_events    what each member announces of events, as it was read last
    knowledge  how much it knows of the cluster;  inspect: its inside, for tests and the laboratory
"""
