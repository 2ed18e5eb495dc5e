"""Training: the Trainer, its telemetry, and the states to go back to. It knows of no process and no diagnosis."""
