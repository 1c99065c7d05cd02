"""Who takes part in a secure sum, as its plan names them, from what the coordinator was told."""

import re
from collections.abc import Mapping, Sequence

from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import LEAST_SITES, SecureSum, default_colluders


def make_secure_sum(
    sites: Sequence[str], receipt_keys: Mapping[str, str], colluders: int | None = None
) -> SecureSum:
    """Who adds up with whom, as the plan names it.

    Args:
        sites: all sites of the plan.
        receipt_keys: of each site, 64 hexadecimal digits, as `fedsynth site key` prints it there.
        colluders: c; by default a fifth of the sites, at least one.

    Raises:
        InputError: too few sites for so many colluders, or keys that are missing, malformed, for
            other sites, or of two sites at once.
    """
    most = (len(sites) - 1) // 2
    if len(sites) < LEAST_SITES:
        raise InputError(
            f"--trust secure-sum: {len(sites)} sites; it takes {LEAST_SITES} or more, since of two "
            "sites each could subtract its own counts from the sum"
        )
    colluders = default_colluders(len(sites)) if colluders is None else colluders
    if not 1 <= colluders <= most:
        raise InputError(f"--colluders {colluders}: expected 1 to {most} for {len(sites)} sites")
    if missing := [site for site in sites if site not in receipt_keys]:
        raise InputError(
            f"--receipt-key: missing for {', '.join(missing)}; pass SITE=HEX as fedsynth site key "
            "prints it there, for every site of a secure sum"
        )
    if strange := sorted(set(receipt_keys) - set(sites)):
        raise InputError(f"--receipt-key {strange[0]}: not a site of the study")
    for site, key in receipt_keys.items():
        if not re.fullmatch("[0-9a-f]{64}", key):
            raise InputError(f"--receipt-key {site}: expected 64 hexadecimal digits")
    if len(set(receipt_keys.values())) < len(sites):
        raise InputError("--receipt-key: two sites have the same key; each site has its own")
    return SecureSum(colluders=colluders, receipt_keys=dict(receipt_keys))
