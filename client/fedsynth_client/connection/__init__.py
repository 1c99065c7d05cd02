"""The way to the coordinator: Flower's processes, the node key and the approved app bundle."""
