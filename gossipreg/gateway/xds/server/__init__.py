"""The door of the xDS gateway: HTTP/2 and gRPC on its ports. It knows what a call is, and never what a message asks.

One request from top to bottom:

    ports             the addresses and paths at which it listens
    grpc_server       serves the connections in turns
    grpc_connections  what each connection waits for and how long, and the bounds on them all
    grpc_calls        the calls of one connection
    http2_connection  bytes to requests and data, and back, with h2
    http2_frames      the frames that are read and written here
    http2_windows     flow control
    http2_preface     the first bytes of a connection, also of those who speak something else
    grpc_request      the head of a call
    grpc_messages     the messages in its data
    grpc_status       how it ends
"""
