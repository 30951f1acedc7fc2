"""xDS: the sidecar as a control plane for Envoy and for gRPC clients that resolve `xds:///NAME` themselves.

One request from top to bottom:

    model      the values that the parts exchange
"""
