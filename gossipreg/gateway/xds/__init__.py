"""xDS: the sidecar as a control plane for Envoy and for gRPC clients that resolve `xds:///NAME` themselves.

One request from top to bottom:

    streams    the seam to the transport: one call of the aggregated discovery service, and all of them
    model      the values that the parts exchange
"""
