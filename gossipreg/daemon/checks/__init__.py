"""Health checks: what is asked (`spec`), how (`http`, `tcp`, `command`), when, and what follows (`schedule`).

Nothing here knows what a service is beyond its id, nor the cluster: `daemon/services.py` is told when the health of one
changes. What checks say is shown by this sidecar and never gossiped.
"""
