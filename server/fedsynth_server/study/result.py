"""What a study leaves behind: all that its export, its history and its report are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_release.decoding import Codebook
from fedsynth_release.drift import Drift
from fedsynth_release.generator_weights import Network
from fedsynth_release.measurements import MeasuredTransition
from fedsynth_release.report import Curve, StudyHistory
from fedsynth_server.aggregation.carried import Carried
from fedsynth_server.aggregation.marginals import MarginalEstimate


@dataclass
class StudyResult:
    """What a study leaves behind.

    Attributes:
        network: the finished generator.
        codebook: the codes it speaks.
        receipts: the signed receipts by site.
        keys: the receipts' public keys by site.
        marginal_losses: on the measured marginals, before and after the adversarial rounds.
        notes: per round, the sites that did not answer, were left out or scaled down.
        bytes_per_site: bytes sent and received per site, over all messages.
        records: noisy number of records of the sites that were measured.
        measured: the cleaned marginals that the generator was fitted to.
        transitions: of histories, how each column follows itself at the next event.
        cell_error: standard deviation of the noise on the share of records of one fine cell.
        curves: how the training went.
        carried: of a study of a cohort, the counts that the next one builds on.
        drift: what changed since the earlier cohorts, if there were any.
    """

    network: Network
    codebook: Codebook
    receipts: dict[str, pb.ReceiptReply]
    keys: dict[str, bytes]
    marginal_losses: tuple[float, float]
    notes: list[str] = field(default_factory=list)
    bytes_per_site: int = 0
    records: float = 1.0
    measured: list[MarginalEstimate] = field(default_factory=list)
    transitions: tuple[MeasuredTransition | None, ...] = ()
    cell_error: float = 0.0
    curves: tuple[Curve, ...] = ()
    carried: Carried | None = None
    drift: Drift | None = None

    def history(self, seconds: Mapping[str, float] | None = None) -> StudyHistory:
        """What a report may draw of it; seconds by phase where somebody has taken the time."""
        return StudyHistory(
            curves=self.curves,
            seconds=dict(seconds or {}),
            bytes_per_site=self.bytes_per_site,
            notes=tuple(self.notes),
        )
