"""This member itself: its own row and address, identity conflicts, leaving."""
