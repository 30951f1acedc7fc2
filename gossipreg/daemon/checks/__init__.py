"""Health checks: what is asked (`spec`, read by `parse` and `targets`), how (`http`, `tcp`, `grpc`, `command`; `tls`
under two of them), when, and what follows (`schedule`).

Nothing here knows what a service is beyond its id, nor the cluster: `daemon/services.py` is told when the health of one
changes. What checks say is shown by this sidecar and never gossiped.
"""
