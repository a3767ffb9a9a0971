"""Where covend touches the world; the edges do not know each other."""
