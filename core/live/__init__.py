"""Live runs: each trains in a process of its own, answers the page meanwhile, and is saved."""
