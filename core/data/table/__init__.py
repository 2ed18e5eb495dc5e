"""A person's own table: read from whatever file it comes in, its columns named for what they are, and prepared for a network."""
