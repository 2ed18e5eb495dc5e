"""The parts of the cases' page: its two runs over the live line, and a case's numbers and pictures."""
