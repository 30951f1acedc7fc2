"""Other people's protocols: views of the catalog for programs that speak DNS (`dns/`). Loaded only when asked for."""
