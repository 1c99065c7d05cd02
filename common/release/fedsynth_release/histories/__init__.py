"""Persons with their events: a mixture of Markov chains, its exact marginals, and how it is drawn."""
