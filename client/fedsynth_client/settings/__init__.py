"""Settings that a person writes at the site, read from TOML or JSON."""
