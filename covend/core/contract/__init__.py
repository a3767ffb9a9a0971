"""The agent's side of the bargain: what it is given, and what is made of what it gives back."""
