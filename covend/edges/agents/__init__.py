"""Agents' processes."""
