"""HTTP in: the public listener for webhooks, and the admin listener for people and scripts."""
