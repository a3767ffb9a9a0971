"""Limiters that a restart does not forget: each a pure decision over what the store has read."""
