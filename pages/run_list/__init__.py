"""The parts of the runs' page: the list, what can be done to runs, and runs over one another."""
