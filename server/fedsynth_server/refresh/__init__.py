"""Studies of cohorts that build on the release of earlier ones, and what changed between them."""
