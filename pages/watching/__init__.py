"""The parts of the page that watches other people's programs: the door for what probes send, and the view of a watched run."""
