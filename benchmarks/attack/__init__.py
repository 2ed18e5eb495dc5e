"""Hostile input for everything that Descent takes from outside, made anew from a seed: `make attack`."""
