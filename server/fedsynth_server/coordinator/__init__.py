"""The coordinator's computer: its files, its three processes, and the files that bring sites in."""
