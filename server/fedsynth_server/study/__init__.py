"""Runs a study from its plan to its result: planning, the folder on disk, the phases, the state."""
