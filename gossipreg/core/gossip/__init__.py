"""How updates reach other members: dissemination, pulls, anti-entropy, joining, acks of our row."""
