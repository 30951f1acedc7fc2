"""HTTP: the registry for programs that ask as they ask a Consul agent, for Prometheus, and for people with curl.

What runs:

    gateway      the options that the user chose, and the open gateway
    serving      one run of it, its parts wired to the sidecar
    ports        the addresses and paths at which it listens

From bytes to requests, and from responses to bytes, with `net.http_framing`, `net.http_message`, `net.selection` and
`net.deadlines`:

    server       serves connections in turns
    connections  what each connection waits for and how long, and the bounds on them all
    client       one connection
    guard        which hosts and origins may ask
    doors        what a request needs to get in;  tokens: the tokens of --http-token-file

From a request to its answer:

    api          the way of a request: its route, the caller's right, the answer
    routes       the table of all routes;  router: finds the route of a request
    route        what a route says of its path;  route_groups: routes that have much in common
    params       the parameters of queries
    refusals     objects of Consul's that do not exist here;  openapi: the description of all paths
    parts        the objects whose methods answer
    reads        answers the routes that read;  blocking: reads that wait, and the index of each answer
    ask          the query of a request;  options: the options that choose among the objects found
    knowing      what an answer says while the table is not known
    filter       filter expressions;  kinds: the fields of the objects that they choose from
    pattern      regular expressions of filters;  automaton: how an expression is read

What the answers are made of:

    catalog      the reads of what all members know;  agent: the reads of what is registered here
    shapes       members and instances as Consul has them;  indexes: the version of each object as a number
    own_checks   the checks of services that are registered here, one by one
    spellings    names in any case
    writes       registering, checks, maintenance, leaving
    definitions  Consul's words for a service;  check_definitions: Consul's words for a check
    monitoring   whether the sidecar runs and is synced, targets for Prometheus
    metrics      counters for Prometheus;  metric_names: their names;  events: the changes of the answers as a stream
    eureka/      the same registry for Eureka's clients
    ui/          the page for people
    dapr/        Dapr's API of publishing and calling

A request goes server -> framing -> guard, doors -> api (router, routes) -> reads (catalog, agent), writes or
monitoring -> framing -> server. All that is true of a path stands in its line of `routes` and nowhere else.
"""
