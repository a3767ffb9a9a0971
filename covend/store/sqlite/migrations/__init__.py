"""Steps of the schema, each a `.sql` file that runs once in one transaction; only forward."""
