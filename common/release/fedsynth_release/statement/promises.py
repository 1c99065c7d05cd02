"""The fixed words of the privacy statement, spec version 2: what the software promises, and what not.

They are constants and not options: a study cannot promise more, or admit less, than the software
does. `fedsynth verify` compares them letter by letter. Whoever changes what the code does changes
the words here and the spec version in `privacy_statement.py` with them.
"""

from collections.abc import Iterable

DEFINITION = "(epsilon, delta)-differential privacy, add or remove one privacy unit in one site"
ADJACENCY = "add or remove one privacy unit in the table of one site"
TRUST = "local: each site adds its full noise before anything leaves it"
OVERLAP = (
    "no software checks whether a person is at several sites, and none could without comparing "
    "people: epsilon and delta hold once per site that holds the person, and add up over those"
)
ADVERSARY = (
    "the coordinator, all other sites and everybody who sees the traffic, the generator or the "
    "synthetic records, together; not someone with access to the site's own computers"
)
CHARGED = (
    "histograms of all columns",
    "marginals of pairs of columns",
    "every DP-SGD step of the discriminators, empty batches included",
)
NOT_CHARGED = (
    "the schema: agreed on in public before any record is read (a drafted one is a caveat)",
    "training settings of the coordinator: fixed without looking at records",
    "the generator, its model card, its report and any number of synthetic records: computed from "
    "what was charged (post-processing)",
)
UNPROTECTED = (
    "that a site takes part, and that its table fits the schema",
    "that a site holds at least the policy's minimum number of records",
    "when messages are answered, and fixed error codes",
)
NOT_PROMISED = (
    "that statistics of the population cannot be inferred: they are the purpose",
    "correct results where a site sends wrong data",
    "protection at a site whose computers are compromised",
)
NUMERICS = (
    "counts: exact integers with discrete Gaussian noise, no floating point before the noise; "
    "gradients: clipped and summed in float64, noise of four normal draws a value, then float32"
)
RANDOMNESS = "ChaCha20 keyed by the operating system"
SEEDED_RANDOMNESS = "seeded generator"
SEEDED = "not private: seeded (noise came from a known seed)"
DRAFTED = (
    "not private: the schema was drafted from data (its columns, bounds and categories were read "
    "from records without noise)"
)
REHEARSAL = (
    "not private: a rehearsal on pooled data (the size that its plan declares, or which records were "
    "at which site or held out, was computed from the records)"
)


def is_private(caveats: Iterable[str]) -> bool:
    """Whether none of the caveats voids the guarantee."""
    return not any(caveat.startswith("not private") for caveat in caveats)
