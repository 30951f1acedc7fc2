"""Other people's protocols: views of the registry for programs that speak DNS (`dns/`) or HTTP (`http/`).

Loaded only when asked for. Neither knows of the other, nor of the daemon beside them: see `sidecar_api.py`.
"""
