"""The parts of the map of divergence: who makes it, and what its tab shows."""
