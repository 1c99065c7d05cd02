"""Sends messages to the sites, collects the replies, and knows which node is which site."""
