"""The coordinator's path for persons with histories: blocks, their cleaning, the fit, calibration."""
