"""The SQLite dialect: one file, one writing thread, readers apart."""
