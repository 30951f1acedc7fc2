"""The calls of the aggregated discovery service, without I/O: who asks for what, and what is sent when.

One call from top to bottom:

    xds_streams          the seam to the transport: one call of the aggregated discovery service, and all of them
    sotw_stream          requests and responses of the state of the world
    delta_stream         those of delta
    ads_stream           what both are: who asks for what, in which order it is sent, what was accepted
    stream_context       what all streams share
    subscription         one type of resources on one stream
    subscription_index   which streams are subscribed to which names
    name_shares          how many names all may have, and who gives way
    discovery_requests   bytes -> requests, and what is wrong with them
    client_node          what a client says of itself
    discovery_responses  resources -> bytes that all streams share
    grouping             which resources go into one response
    shown_streams        what each client is subscribed to, has accepted and refused, for people
    nack_log             what clients refuse, in the log
"""
