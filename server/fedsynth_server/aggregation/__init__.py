"""What the sites answer, put together: histograms, marginals and discriminators."""
