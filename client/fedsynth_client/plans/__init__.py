"""Shows a study's plan to the data steward, and writes the approval into the policy."""
