"""What a site must trust: privacy core, protocol, schema, encoding, discriminator, tables."""
