"""The protocol, without clock, socket or randomness of its own. `node.py` composes it; start reading there."""
