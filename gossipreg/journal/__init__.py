"""Journals: replicated logs that are silent when idle. Pure as the core: messages, the time, and completed writes come
in; effects go out.

A journal is a Raft log (Ongaro and Ousterhout 2014) with ballots for terms, and without heartbeats: the registry says
who lives, and who claims to lead. The registry decides only who stands, and when; safety rests on promises and
majorities alone. A journal is consistent where the registry is available: without a majority of its disks it waits.

    journals       all journals of one sidecar: composes the replicas
    replica        one replica of one journal: composes the parts below
    replica_data   what the parts work on: log, promise, state, the leader that was heard
    leaderless     whether nobody leads, seen from here, and the wait before standing
    standing       pre-vote, election
    voting         the answers to candidates
    following      a follower: takes entries, or the whole state
    leading        a leader: appends, counts, commits
    progress       how far one follower is, and what is sent to it
    follower_timers  the timers for one follower
    sent_state     a state that is sent to one follower
    replays        how many replicas are caught up from far behind at a time, and how fast
    confirmations  proof of leadership without a write;  leadership_proof: since when one is there, at whoever asks
    proven_questions   questions about all journals that are led here, which wait for such proofs
    caring         what a leader does beside committing: replacing, handover, orphan
    handover       back to the owner, or to another voter
    empty_copy     gives up a copy that holds nothing, and whose journal nobody leads
    greeting       what a replica that does not lead says unasked
    departure      what a replica does before its member leaves
    recovery       one replica becomes the only voter, by hand
    orphan         the end of a journal that holds nothing, and whose owner does not come back
    copies         which members should hold copies
    lost_copies    what others are told of copies that are lost here
    hosting        whether this sidecar takes a copy that it is asked for
    replacing      makes copies, replaces voters that are gone
    request_numbers  the numbers by which answers are known again
    log            the entries, the ballots, the configurations
    disk           one transaction at a time, and what waits for it
    state          records, changed by a state machine
    combined       several state machines as the one of a journal
    reading        reads the values of records that are only on the disk
    membership     what a journal asks of the registry
    messages       what replicas say to each other
    codec          those messages as bytes
    message_forms  what all kinds of messages share as bytes
    effects        what the journals ask of the world
    announced      what a row says of journals: claims, and who takes copies
    values         the configuration as bytes
    model          ballots, positions, entries, configurations
    tuning         times and bounds
    context        what all journals of a sidecar share
"""
