"""The commands for a finished generator: `sample`, `verify`, `report` and `evaluate`."""
