"""Other people's protocols: the registry for programs that speak DNS (`dns/`), HTTP (`http/`) or xDS (`xds/`).

Each is loaded only if the user asks for it. None knows another, nor the daemon: see `sidecar_api.py`. DNS and xDS read
dotted names by the same rule (`readings.py`).
"""
