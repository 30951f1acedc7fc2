"""Health checks. `spec` is a check as a value, which `parse` and `targets` read; `http`, `tcp`, `grpc` and `command`
run one (`tls` serves `http` and `grpc`); `schedule` runs them when they are due; `state` derives the health from the
results.

This package knows a service only by its id, and never the cluster: it reports changes of health to
`daemon/service_health.py`. The output of checks is shown by this sidecar and never gossiped.
"""
