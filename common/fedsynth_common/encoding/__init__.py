"""Encoding: records -> fine codes, under the public schema alone."""

from fedsynth_common.encoding.encoder import EncodedTable, RepairCounts, encode
from fedsynth_common.encoding.values import as_ordinal
from fedsynth_common.encoding.violations import rule_violations

__all__ = ["EncodedTable", "RepairCounts", "as_ordinal", "encode", "rule_violations"]
