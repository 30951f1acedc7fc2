"""xDS: the sidecar as a control plane for Envoy and for gRPC clients that resolve `xds:///NAME` themselves.

Its rooms, from the lowest. Each imports only the values of `model` and what stands above it here:

    model      the values that the rooms exchange
    resources/ what names stand for, by the registry and the policy
    streams/   the calls of the aggregated discovery service: subscriptions, and what is sent when
    server/    HTTP/2 and gRPC on ports; it calls the streams
    gateway    the options that the user chose, the open gateway, and one run of it

The streams know the resources only as a `model.ResourceSource`.
"""
