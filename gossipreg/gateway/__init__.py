"""Other people's protocols: the registry for programs that speak DNS (`dns/`) or HTTP (`http/`).

Each is loaded only if the user asks for it. Neither knows the other, nor the daemon: see `sidecar_api.py`.
"""
