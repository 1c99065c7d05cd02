"""Encoding: records <-> fine codes <-> codes of a study, all under the public schema."""

from fedsynth_common.encoding.binning import build_codebook
from fedsynth_common.encoding.codebook import Codebook
from fedsynth_common.encoding.decoder import decode
from fedsynth_common.encoding.domain import FineDomain, domain_of, domains
from fedsynth_common.encoding.encoder import EncodedTable, RepairCounts, encode
from fedsynth_common.encoding.values import as_ordinal
from fedsynth_common.encoding.violations import rule_violations

__all__ = [
    "Codebook",
    "EncodedTable",
    "FineDomain",
    "RepairCounts",
    "as_ordinal",
    "build_codebook",
    "decode",
    "domain_of",
    "domains",
    "encode",
    "rule_violations",
]
