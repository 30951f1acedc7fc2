"""xDS: the sidecar as a control plane for Envoy and for gRPC clients that resolve `xds:///NAME` themselves.

One request from top to bottom:

    gateway              the options that the user chose, the open gateway, and one run of it
    ports                the addresses and paths at which it listens
    grpc_server          serves the connections in turns
    grpc_connections     what each connection waits for and how long, and the bounds on them all
    grpc_calls           the calls of one connection
    http2_connection     bytes to requests and data, and back, with h2
    http2_frames         the frames that are read and written here;  http2_windows: flow control
    http2_preface        the first bytes of a connection, also of those who speak something else
    grpc_request         the head of a call;  grpc_messages: the messages in its data;  grpc_status: how it ends
    streams              the seam to the transport: one call of the aggregated discovery service, and all of them
    sotw_stream          requests and responses of the state of the world
    delta_stream         those of delta
    ads_stream           what both are: who asks for what, in which order it is sent, what was accepted
    stream_context       what all streams share
    subscription         one type of resources on one stream
    subscription_index   which streams are subscribed to which names
    discovery_requests   bytes -> requests, and what is wrong with them
    client_node          what a client says of itself
    discovery_responses  resources -> bytes that all streams share
    grouping             which resources go into one response
    shown_streams        what each client is subscribed to, has accepted and refused, for people
    nack_log             what clients refuse, in the log
    model                the values that the parts exchange
    names_asked          what a name stands for
    endpoints            the endpoints that a name has, and their groups
    policy               what an operator sets for each service, and who honours it
    policy_file          the file of --xds-policy
    proto_values         values of protobuf, and the bytes of a resource
    routes               the routes of a service: by header, by shares of tags
    clusters             circuit breakers and outlier detection of a cluster
    grpc_resources       what a gRPC client gets for a name
    envoy_resources      what Envoy gets: a listener, its routes by Host, clusters and endpoints
    asked                one name that somebody is subscribed to, and what is kept for it
    resources            all of them, following the registry and the policy
    members_by_zone      the living members by their zones
    mesh_tls             mutual TLS between Envoys: who may be whom, and what those get
    mesh_ids             the SPIFFE ids of services
    mesh_ca              the CA that is made of the cluster key, and the certificates that it signs
    mesh_secrets         the certificates that are handed out, and when they are made anew
    mesh_inbound         what the meta of an instance says of mutual TLS
    mesh_resources       the protobufs of mutual TLS
    left_out             what clients do not get, said in the log once
    unmet_tags           calls that fail, since the policy sends them to a tag that no instance has
    shown_names          the services that Envoy gets, and that once were there
"""
