"""Puts covend together: opens the store and the edges, builds the services, runs them in one task
group.

The only room that names concrete classes of every other.
"""

from __future__ import annotations

from covend.app.daemon import Daemon, running, serve

__all__ = ["Daemon", "running", "serve"]
