"""The directories that attempts work in, and git."""
