"""Durable state: what was accepted, what it asked for, what was tried, what the world shall see."""
