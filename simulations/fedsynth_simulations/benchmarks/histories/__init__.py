"""`fedsynth benchmark histories`: persons with histories beside real persons, floors and peers."""
