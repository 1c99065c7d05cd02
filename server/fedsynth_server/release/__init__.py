"""What leaves the coordinator when a study has finished."""
