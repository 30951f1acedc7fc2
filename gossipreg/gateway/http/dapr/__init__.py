"""Dapr's HTTP API: publishing, invocation, metadata and health, for programs that are written for a Dapr sidecar.

Served by the same listeners as Consul's API, below `/v1.0`, and loaded when the first such request comes. What events
do after they are published, and how a Dapr app gets them, is the daemon's part (`daemon/deliveries/`).

    routes      the table of the paths, and the paths that are refused
    resources   the handler of each path
    publishing  the event of a request to publish
    invocation  the call that a request to invoke asks for
    call_spans  the spans of these calls
    picking     which instance of a service gets a call, and what follows from how it ends

A request goes routes -> resources -> publishing, or invocation and picking.
"""
