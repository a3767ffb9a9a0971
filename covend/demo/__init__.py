"""A story without an account: a stand-in of GitHub, a real git repository, an example agent.

The same stand-in serves `covend demo` and the tests; nothing here is part of the daemon.
"""
