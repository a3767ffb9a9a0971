"""Looks at what covend meets in the real world; changes nothing, and keeps silent about what it has
not looked at.
"""
