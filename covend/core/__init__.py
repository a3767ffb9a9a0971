"""Decisions: bytes and values in, records out.

Nothing here waits, reads a clock, or touches the world.
"""
