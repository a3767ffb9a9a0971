"""The named queries of the SQLite dialect, one file per noun."""
