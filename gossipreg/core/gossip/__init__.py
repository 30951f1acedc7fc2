"""Who has to hear what: broadcasts, pulls, anti-entropy, joining."""
