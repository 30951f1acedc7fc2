"""HTTP: the registry for programs that ask as they ask a Consul agent, for Prometheus, and for people with curl.

    gateway     what the user chose, and the open gateway;  serving: one run of it, its parts wired to the sidecar
    ports       where it listens
    server      requests from the bytes of connections, answers to their bytes, in turns
    connections  what each connection waits for and how long, and the bounds on them all;  client: one of them
    deadlines   whose time is up next;  selection: which can go on
    framing     bytes to requests, responses to bytes
    message     requests and responses as values
    guard       which hosts and origins may ask
    doors       what a request needs to get in;  tokens: those of --http-token-file
    api         the way of a request: its row in the table, the caller's right, the answer
    routes      the table: one row for each path;  route: what a row says;  router: how a row is found
    refusals    objects of Consul's that do not exist here;  openapi: the description of all paths
    parts       the objects whose methods answer
    reads       answers the rows that read;  blocking: reads that wait, and the index of each answer
    ask         the query of a request;  options: those that choose among the objects found
    knowing     what an answer says while the table is not known
    shapes      members and instances as Consul has them;  indexes: when each changed last
    own_checks  the checks of services here, one by one
    catalog     the reads of what all know;  agent: of what is registered here
    spellings   names in any case
    writes      registering, checks, maintenance, leaving;  definitions: Consul's words for a service
    check_definitions  Consul's words for a check
    filter      filter expressions;  pattern: their regular expressions;  automaton: how those are read
    monitoring  whether it runs and is in step, targets;  metrics: for Prometheus;  events: changes as they come
    eureka/     the same registry for Eureka's clients

A request goes server -> framing -> guard, doors -> api (router, routes) -> reads (catalog, agent), writes or
monitoring -> framing -> server. What is true of a path stands in its row of `routes` and nowhere else.
"""
