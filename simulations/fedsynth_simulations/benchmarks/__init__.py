"""`fedsynth benchmark`: figures of a synthesiser beside its ceiling, floors and other methods."""
