"""Other people's protocols: views of the catalog for programs that speak DNS or HTTP. Empty so far."""
