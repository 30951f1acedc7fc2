"""The sockets under the daemon and the gateways: opening them, and taking the connections that come.

    addresses    what a user may write as the address to listen on; which literal addresses are loopback, wildcards, ...
    listening    TCP and UDP sockets on one port of several addresses; the search for a free port
    socket_file  a unix socket: its file, the lock beside it, the group that may connect
    groups       the number of a group that an option names
    accepting    the loop that takes connections, also while the process has no descriptor left
    descriptors  how many descriptors the process may have

Neither the daemon nor a gateway is known here, nor any protocol.
"""
