"""What names stand for: the resources of xDS, made of the registry and the policy. Nothing here knows a stream or a
connection.

From the values to the whole:

    names_asked      what a name stands for
    endpoints        the endpoints that a name has, and their groups
    members_by_zone  the living members by their zones
    shown_names      the services that Envoy gets, and that once were there
    policy           what an operator sets for each service, and who honours it
    policy_file      the file of --xds-policy
    proto_values     values of protobuf, and the bytes of a resource
    clusters         circuit breakers and outlier detection of a cluster
    routes           the routes of a service: by header, by shares of tags
    grpc_resources   what a gRPC client gets for a name
    envoy_resources  what Envoy gets: a listener, its routes by Host, clusters and endpoints
    mesh_ids         the SPIFFE ids of services
    mesh_ca          the CA that is made of the cluster key, and the certificates that it signs
    mesh_inbound     what the meta of an instance says of mutual TLS
    mesh_resources   the protobufs of mutual TLS
    mesh_secrets     the certificates that are handed out, and when they are made anew
    mesh_tls         mutual TLS between Envoys: who may be whom, and what those get
    asked            one name that somebody is subscribed to, and what is kept for it
    left_out         what clients do not get, said in the log once
    unmet_tags       calls that fail, since the policy sends them to a tag that no instance has
    xds_resources    all of them, following the registry and the policy
"""
