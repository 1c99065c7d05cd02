"""The records of a site: where they are read from, how they are kept as codes."""
