"""Outbound webhooks: one try at a time, to checked addresses alone; when to try again is decided
elsewhere.
"""
