"""Files of schemas: what differs between two, and what other programs and registers wrote."""
