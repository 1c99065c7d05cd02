"""The coordinator's connection to the Flower SuperLink: its bundle and its Control API."""
