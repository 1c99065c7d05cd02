"""The privacy statement of a generator, and the other texts that are made from it."""

from fedsynth_release.statement.costs import SiteCost
from fedsynth_release.statement.privacy_statement import PrivacyStatement

__all__ = ["PrivacyStatement", "SiteCost"]
