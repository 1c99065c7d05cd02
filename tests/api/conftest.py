"""A table with a column of every type, and a study of it that takes two seconds."""

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_frames import SMALL, mixed_frame

import fedsynth


@pytest.fixture(scope="session")
def frame():
    return mixed_frame(400)


@pytest.fixture(scope="session")
def result(frame):
    """Of a drafted schema; nobody listens to its warnings here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fedsynth.fit(frame, target="outcome", sites=3, **SMALL)
