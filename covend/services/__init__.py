"""Long-lived loops and the shells of decisions: read, decide by a pure function, write."""
