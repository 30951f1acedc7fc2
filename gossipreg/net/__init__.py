"""The sockets under the daemon and the gateways: opening them, taking the connections that come, and HTTP on them.

    addresses     what a user may write as the address to listen on; which literal addresses are loopback or wildcards
    listening     TCP and UDP sockets on one port of several addresses; the search for a free port
    socket_file   a unix socket: its file, the lock beside it, the group that may connect
    groups        the number of a group that an option names
    accepting     the loop that takes connections, also while the process has no descriptor left
    selection     which connections can be read or written;  deadlines: whose time is up next
    descriptors   how many descriptors the process may have, and for what
    http_framing  bytes to HTTP requests, responses to bytes
    http_message  HTTP requests and responses as values, and what is wrong with a request
    error_status  the status of HTTP for each error of the local socket
    other_protocols  TLS and others on a port of HTTP, refused by name
    http_client   requests to HTTP servers, over connections that are kept

Neither the daemon nor a gateway is known here. HTTP is loaded only by those who speak it.
"""
