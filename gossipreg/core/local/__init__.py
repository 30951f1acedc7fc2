"""The parts that deal with this member itself: its own row and address, identity conflicts, leaving."""
