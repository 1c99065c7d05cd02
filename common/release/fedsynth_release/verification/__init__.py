"""`fedsynth verify`: is a generator folder what its privacy statement says?"""
