"""The commands of a reader: `sample`, `verify`, `report` and `evaluate`."""
