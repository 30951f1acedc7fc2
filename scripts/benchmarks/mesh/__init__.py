"""How soon gRPC clients know a change by xDS, and at what cost: the sidecar beside a minimal control plane on grpcio.

row              what is measured, and in which order
planes           the two control planes and what each needs
minimal_control  the other one: it follows a sidecar's registry by its socket, and answers streams with grpcio
stream_load      100 streams that ask for endpoints and acknowledge what they get
raw_streams      1,000 streams that cost the one who measures little
instance         an instance of the service that is called; it registers itself, and is killed
"""
