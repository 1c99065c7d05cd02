"""A study's plan as the data steward reads it, and its approval in the policy."""
