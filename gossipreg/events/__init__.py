"""Events between services: the pure parts.

`daemon/events/` runs them in a sidecar; `events.py` composes the rest.

    events           all events of a sidecar: composes publishing, delivery and receiving
    publishing       the publisher's side: until the leader answers
    publish_queue    new events at the leader: gathered into entries, and answered
    questions        what people ask and decide: groups, dead letters, traces
    member_questions   until it is proven that their journals are led here
    handled          the events that were handled here last
    patterns         which types of events a subscription means, and which subscriptions mean a type
    cloud_event      an event, CloudEvents 1.0, with the bounds of its attributes
    structured_form  an event as application/cloudevents+json
    binary_form      an event as HTTP headers and a body
    entries          the entries of a journal that are about events
    event_identity   whether two publishes are one event, read from their bytes
    machine          the state machine of one journal's events: what the entries do
    groups           its groups and their patterns
    event_store      its events: who waits, dead letters, failures
    stored_events    the values that it keeps, and their records
    known_ids        the ids that were published of late
    backlog          how much waits for one group
    led_journal      a journal that is led here: the parts that work on it
    past_groups      groups that begin with the events that are kept, and that a journal lacks
    facts            what an applied entry has changed
    messages         what sidecars say to each other about events
    codec            those messages as bytes
    announced        what a row says of events: subscriptions, and groups that are remembered
    group_announcements  the groups that our row names: declared ones, those of journals led here, those that ran here
    remembered_groups    the groups that ran beside this sidecar, and run here no more
    effects          what events ask of the world
    membership       what events ask of the registry
    dispatch         delivery at the sidecar that leads a journal: composes the parts below
    dispatched       what delivery reads of a journal's state
    delivering       which event goes to which member next
    group_queue      what one group is still to get: partition keys and their order
    ready_events     the events of a group that may go now, by who may get them
    member_choice    the member with the fewest unanswered deliveries
    windows          what each member has unanswered, and how much more it takes
    delivery_answers what follows from an answer, a death, a refusal
    attempts         how often a delivery failed, and when it goes again
    outcome_batch    outcomes on their way into the journal
    delivery_sender  payloads and messages of deliveries
    payload_cache    the newest events of a journal in memory
    backlog_feed     what waits when a leader begins, in steps
    group_lag        how far behind a group is
    group_look       which groups have instances, and what is too old
    tuning           times and bounds

The receiving side, at the sidecar of a subscriber:

    receiving          deliveries come in, events go to subscriptions, outcomes go back
    subscriptions      the subscriptions of programs here, and their announcements
    handlings          what is being handled, and what waits for its key
    handler_answers    what subscriptions say of the events that they got
    recent_deliveries  what was acknowledged here, and the highest ballot of each journal
    delivery_replies   the messages to leaders
    room_grants        how much of the room each leader may use, and who waits for some
"""
