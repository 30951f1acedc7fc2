"""How updates reach the other members: dissemination, pulls, anti-entropy, joining, acks of our row."""
