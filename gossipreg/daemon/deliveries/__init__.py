"""Events for services beside this sidecar that take them over HTTP: each one is a request, and its answer settles it.

`following` is loaded at the start, the rest when a service here subscribes.

    following            which services subscribe, and whether they take events now
    service_routes       the paths at which a service takes events: CloudEvents in binary mode
    dapr_app             asks a Dapr app for its subscriptions, at each start of it
    dapr_subscriptions   what it answers: the topics, and their paths
    dapr_routes          the paths at which a Dapr app takes events: structured mode, and Dapr's answers
    http_subscriber      one subscription: a request for each event
    verdicts             what an answer means for an event
    gateway_events       what the gateways may ask of the events
"""
