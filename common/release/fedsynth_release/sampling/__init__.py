"""Drawing records from a generator: latents, conditions, rules between columns, given cells."""
