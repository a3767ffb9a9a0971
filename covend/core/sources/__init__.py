"""One file per sender of events: its signature, its envelope, and how its payload is read."""
