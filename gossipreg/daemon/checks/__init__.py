"""Health checks.

    spec      a check as a value, and the result of one run
    parse     reads a check as a user writes it;  options: its options;  targets: URLs, host:port, commands
    schedule  runs checks when they are due;  state: the health of one check from its results
    http      http and https;  tcp: connections;  grpc: grpc and grpcs;  tls: under https and grpcs
    command   cmd
    check_spans  the spans of all of them

This package knows a service only by its id, and never the cluster: it reports changes of health to
`daemon/service_health.py`. The output of checks is shown by this sidecar and never gossiped.
"""
