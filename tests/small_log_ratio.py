"""LogRatio with a known opinion, for tests of what the coordinator makes of discriminators."""

from collections.abc import Sequence

import torch

from fedsynth_server.training.log_ratio import LogRatio


def log_ratio_of_second_code(widths: Sequence[int], nats: float) -> LogRatio:
    """Records, fully believed, have the first column's second code likelier by about this much."""
    rows = torch.zeros(len(widths), 8, dtype=torch.int64)
    log_ratio = LogRatio(widths, (4,), rows, torch.Generator().manual_seed(0), first_steps=1)
    for network, bias in ((log_ratio.generator_predictor, 0.0), (log_ratio.record_predictor, nats)):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
            network.heads.bias[1] = bias
    log_ratio.signal_share.fill_(1.0)
    return log_ratio
