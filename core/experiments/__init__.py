"""Experiments on a run before it is made: preflight checks, the range test of learning rates, the map of divergence, sweeps."""
