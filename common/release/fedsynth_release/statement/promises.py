"""The fixed texts of the privacy statement, spec version 2: what is promised and what is not.

These texts are constants and not options, so no study can promise more or admit less than the
software does. `fedsynth verify` compares them letter by letter. Whoever changes what the code does
must also change the texts here and the spec version in `privacy_statement.py`.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from fedsynth_common.protocol.plan import SecureSum

DEFINITION = (
    "(epsilon, delta)-differential privacy for adding or removing one privacy unit at one site"
)
ADJACENCY = "add or remove one privacy unit in the table of one site"
TRUST = "local: each site adds its full noise before anything leaves it"
OVERLAP = (
    "epsilon and delta hold once for each site that has records of the person, and the values of "
    "these sites add up; the software does not check who is at several sites, because it would "
    "have to compare people across sites"
)
ADVERSARY = (
    "the coordinator, all other sites and everybody who sees the traffic, the generator or the "
    "synthetic records, even if all of them work together; it does not hold against someone who has "
    "access to the site's own computers"
)
SECURE_OVERLAP = (
    "the person's records at all sites add up before the noise that the sites share, so epsilon grows "
    "about in proportion to the number of these sites; the software does not check who is at several "
    "sites, because it would have to compare people across sites"
)
SECURE_CHARGED = (
    "sums over the sites of the histograms of all columns and the marginals of pairs",
)
SITE_CHARGED = "marginals of single columns at each site, each with all of the site's own noise"
GRADIENTS_CHARGED = (
    "sums over the sites of clipped gradients of the discriminators, empty batches included"
)
SITE_TRUST = (
    "; beside the sums each site answers for its own marginals of single columns, to which it adds all "
    "of the noise itself"
)
CHARGED = (
    "histograms of all columns",
    "marginals of pairs of columns",
    "every DP-SGD step of the discriminators, empty batches included",
)
NOT_CHARGED = (
    "the schema, because it is agreed on in public before any record is read (a schema that was "
    "drafted from records is named as a caveat)",
    "the training settings of the coordinator, because they are chosen without looking at records",
    "the generator, its model card, its report and any number of synthetic records, because they "
    "are computed only from what was charged (post-processing)",
)
UNPROTECTED = (
    "that a site takes part, and that its table fits the schema",
    "that a site holds at least the policy's minimum number of records",
    "when a site answers messages, and which of the fixed error codes it sends",
)
NOT_PROMISED = (
    "that nobody can infer statistics of the population, because the generator exists to show them",
    "correct results if a site sends wrong data",
    "protection at a site whose computers are compromised",
)
NUMERICS = (
    "counts are exact integers with discrete Gaussian noise, and no floating point is used before "
    "the noise is added; gradients are clipped and summed in float64, each value gets noise made "
    "from four normal draws, and the result is rounded to float32"
)
SUMMED_NUMERICS = (
    "counts are exact integers with discrete Gaussian noise, and no floating point is used before the "
    "noise is added; gradients are clipped and summed in float64, rounded to whole units of which the "
    "noise covers the rounding, and get discrete Gaussian noise"
)
RANDOMNESS = "a ChaCha20 random generator with a key from the operating system"
SEEDED_RANDOMNESS = "a random generator with a known seed"
SEEDED = "not private: seeded (noise came from a known seed)"
DRAFTED = (
    "not private: the schema was drafted from data (its columns, bounds and categories were read "
    "from records without noise)"
)
REHEARSAL = (
    "not private: a rehearsal on pooled data (the size that its plan declares, the names of its sites, "
    "or which records were at which site or held out, was taken from the records)"
)


class Trust(NamedTuple):
    """The texts that depend on who makes the noise."""

    trust: str
    overlap: str
    adversary: str
    charged: tuple[str, ...]
    numerics: str


def trust_of(secure_sum: SecureSum | None, sites: int, purposes: Collection[str] = ()) -> Trust:
    """The texts for a plan of so many sites: local noise, or one noise under a secure sum.

    Args:
        secure_sum: the plan's, if it has one.
        sites: how many the plan names.
        purposes: what the plan's messages are for.
    """
    if secure_sum is None:
        return Trust(TRUST, OVERLAP, ADVERSARY, CHARGED, NUMERICS)
    most = secure_sum.colluders
    trust = (
        f"secure sum: the {sites} sites add their counts up under masks, so that only the sum is "
        f"opened, and make its noise together; each adds discrete Gaussian noise of 1 / {sites - most} "
        "of the variance that epsilon counts on"
    )
    adversary = (
        "the coordinator and everybody who sees the traffic, the generator or the synthetic records, "
        f"as long as at most {most} of the {sites} sites work together with them or are missing; if "
        "all other sites work together against one, epsilon_if_all_others_work_together holds; "
        "neither holds against someone who has access to the site's own computers"
    )
    charged: tuple[str, ...] = SECURE_CHARGED
    if "site marginals" in purposes:
        trust += SITE_TRUST
        charged = (*charged, SITE_CHARGED)
    numerics = NUMERICS
    if "discriminator" in purposes:
        charged, numerics = (*charged, GRADIENTS_CHARGED), SUMMED_NUMERICS
    return Trust(trust, SECURE_OVERLAP, adversary, charged, numerics)


def is_private(caveats: Iterable[str]) -> bool:
    """Whether the guarantee holds, that is, whether no caveat voids it."""
    return not any(caveat.startswith("not private") for caveat in caveats)
