"""covend receives signed webhooks, runs coding agents on them and publishes what they found."""

__version__ = "0.1.0"
