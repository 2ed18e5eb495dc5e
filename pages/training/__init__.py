"""The parts of the playground: its run, its controls, what was found, and the bar over the run's past."""
