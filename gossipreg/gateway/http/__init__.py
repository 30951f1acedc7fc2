"""HTTP: the registry for programs that ask as they ask a Consul agent, for Prometheus, and for people with curl.

    gateway     what the user chose, and the open gateway;  serving: one run of it, its parts wired to the sidecar
    ports       where it listens
    server      connections: accepted, bounded, read, cut off when slow
    client      the other end of one of them, as the server keeps it;  deadlines: when to look at which
    selection   which connections can go on
    framing     bytes to requests, responses to bytes
    message     requests and responses as values
    guard       which hosts and origins may ask
    doors       what a request needs to get in;  tokens: those of --http-token-file
    api         the table of all questions, and how each comes to its answer
    routes      how a path is found in that table;  openapi: its description
    blocking    questions that wait until their answer changes, and the index of each answer
    ask         what a question may say beside its path;  knowing: what an answer says while the table is not known
    shapes      members and instances as Consul has them;  indexes: when each changed last
    own_checks  the checks of services here, one by one
    catalog     the reads of what all know;  agent: of what is registered here
    spellings   names in any case
    writes      registering, checks, maintenance, leaving;  definitions: Consul's words for a service
    check_definitions  Consul's words for a check
    filter      filter expressions;  pattern: their regular expressions
    monitoring  whether it runs and is in step, targets;  metrics: for Prometheus;  events: changes as they come
    eureka/     the same registry for Eureka's clients
    outside     what it needs of the sidecar

A request goes server -> framing -> guard, doors -> api (routes) -> catalog, agent, writes or monitoring -> framing ->
server.
"""
