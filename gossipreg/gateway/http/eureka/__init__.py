"""Eureka: the registry for programs that register and look up as with a Netflix Eureka server.

Served by the same listeners as Consul's API, below `/eureka` and `/eureka/v2`, and loaded when the first such request
comes.

    routes      the table of the paths
    resources   the handler of each path
    leases      a registration document in the words of `register`; a lease is a ttl check
    instances   an instance of the registry as a Eureka document, and back to the meta that it is kept in
    applications  lists of documents: by application, by VIP, with their hash code
    recent      the changes of the last three minutes, for `apps/delta`
    documents   JSON and XML bytes to values, values to bytes

A request goes routes -> resources -> leases (writes) or applications, instances (reads) -> documents.
"""
