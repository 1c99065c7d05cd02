"""Decoding: codes of a study -> fine cells -> values, under the public schema and a codebook."""

from fedsynth_release.decoding.codebook import Codebook
from fedsynth_release.decoding.decoder import decode

__all__ = ["Codebook", "decode"]
