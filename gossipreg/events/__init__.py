"""Events between services: the pure parts.

Nothing in the sidecar uses them yet.

    patterns         which types of events a subscription means, and which subscriptions mean a type
    cloud_event      an event, CloudEvents 1.0, with the bounds of its attributes
    structured_form  an event as application/cloudevents+json
    binary_form      an event as HTTP headers and a body
"""
