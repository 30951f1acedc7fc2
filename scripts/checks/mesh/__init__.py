"""`scripts/check --mesh`: real gRPC clients and a real Envoy, which know services by the sidecar's xDS alone.

check.py       every case with every client, and the table
cases.py       what must hold: one function a case
mesh_world.py  two sidecars in two zones, and the instances that they know
backend.py     the process that serves all instances, over gRPC and over HTTP
mesh_caller.py what a case asks of a client, and the clients that are a process of their own
caller.py      the client in Python: grpcio
caller.mjs     the client in Node.js: @grpc/grpc-js with @grpc/grpc-js-xds
envoy_front.py the client that is an Envoy in front
tls_mesh.py    two sidecars with a service and an Envoy each, which speak mutual TLS
tls_cases.py   what must hold for them
cutting.py     a way to the sidecar that is cut wherever a case wants
"""
