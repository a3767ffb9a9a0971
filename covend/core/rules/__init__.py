"""Which work an event asks for, and why: every rule answers with a verdict."""
