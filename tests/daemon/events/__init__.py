"""The events of a sidecar: what people see of them."""
