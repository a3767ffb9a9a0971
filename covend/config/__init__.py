"""From the text of `covend.toml` to `covend.core.settings`; below this package nobody knows that
there was a file.
"""
