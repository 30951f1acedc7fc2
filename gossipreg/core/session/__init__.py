"""Who may speak, and how bytes leave: sessions, handshake, outbox, round trips, path MTU, reconnecting."""
