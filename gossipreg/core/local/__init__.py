"""What a member does about itself: its own row and address, identity conflicts, leaving."""
