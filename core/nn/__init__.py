"""The network in NumPy: layers, losses, optimizers and schedules, compiled into a list of calls for each step."""
