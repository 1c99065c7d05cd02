"""What (ε, δ) means and promises, in numbers and in plain words for people who decide."""
