"""The sagas of a sidecar: commands, secrets, and the programs that take their steps."""
