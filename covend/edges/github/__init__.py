"""GitHub's REST API, as far as covend needs it: nothing here decides what to publish or when to try
again.
"""
