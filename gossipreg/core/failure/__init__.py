"""Who is alive: probing, suspicion, local health, isolation, quarantine, flap damping."""
