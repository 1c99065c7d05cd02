"""Turns the codes of a study into fine cells and these into values, by schema and codebook."""

from fedsynth_release.decoding.codebook import Codebook
from fedsynth_release.decoding.decoder import decode

__all__ = ["Codebook", "decode"]
