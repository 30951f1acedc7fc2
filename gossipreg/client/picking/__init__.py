"""Which instance gets a request, and what follows from how it ends. Pure: no clock, no thread, no I/O, no lock.

A `Balancer` picks the instances of one service, and learns from how the requests end. The files from the lowest:

    options          the settings, with their defaults
    retry_after      the header Retry-After: seconds or a date
    not_sent         errors that prove that nothing of a request was sent
    outcomes         success, failure, overloaded, neutral: of a status, of an exception
    latency          the latency of one instance; the median of all; the quantiles of a service
    instance_state   what this process knows of one instance
    weighted_group   samples by weight
    slow_start       a new instance gets few requests at first
    zones            how the requests of a zone spread over zones
    ring_hash        the same instance for the same key
    candidates       which instances may be picked, and with what share: the one order of rules
    policies         adaptive, least_request, round_robin, random
    window           a count of the last ten seconds
    ejection         an instance that fails gets no requests for a while
    breaker          a service that fails gets no calls for a while
    budget           how many requests may be sent a second time
    counters         the names of all decisions
    balancer         picks and outcomes of one service
    headers          the HTTP headers of attempts, loads and retries
    timeouts         how long an attempt may take; when to hedge
    attempts         one logical call: its attempts, retries, hedge and fallback
    resilience       balancer, breaker and budget of one service
"""
