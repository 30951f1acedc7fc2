"""DNS as Consul's agent speaks it: the registry under `consul.`, and under a domain of the user's choice.

One question from top to bottom:

    ports      sockets: UDP and TCP on one port
    server     datagrams and streams -> one message at a time, in turns, so that gossip never waits
    responder  one message in, one out; what was asked before is answered from what is kept
    wire       bytes -> the question, and record parts -> bytes
    names      what a name asks for: a service, a node, an address, ...
    answers    the records that the registry has for it
    directory  services and nodes by the names and addresses that DNS knows them by
    compose    records -> a message: shuffled, cut to size
    rates      how much one client may have
    gateway    what the user chose, the open gateway, and one run of it
"""
