"""The sidecar: trio around the core. The UDP pump, the local socket, identity, start and stop. See `main.run`."""
