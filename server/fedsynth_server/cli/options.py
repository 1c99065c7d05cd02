"""Options that several commands of `fedsynth study` share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class VariantName(StrEnum):
    """What the budget is spent on."""

    AUTO = "auto"
    BOTH = "both"
    LISTEN = "listen"
    MARGINALS = "marginals"
    THREE_WAY = "three-way"
    GAN = "gan"


class DeviceName(StrEnum):
    """What the generator is trained on."""

    CPU = "cpu"
    CUDA = "cuda"


DEVICE_HELP = "Where the generator trains; cuda needs a build of torch that sees such a device."
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The study's folder.")]
SchemaFile = Annotated[
    Path, typer.Option("--schema", help="The reviewed schema that all sites share.")
]
Drafted = Annotated[
    bool,
    typer.Option(
        "--drafted",
        help="Take a schema that nobody has reviewed since it was drafted from records.",
    ),
]
SiteNames = Annotated[
    list[str], typer.Option("--site", help="The name of a site. Repeat the option for every site.")
]
RecordsPerSite = Annotated[
    int,
    typer.Option(
        "--records-per-site",
        min=1,
        help="About how many records a site has: a public order of magnitude, never a count.",
    ),
]
Epsilon = Annotated[
    float, typer.Option("--epsilon", help="The ε that the plan may cost the records of each site.")
]
Delta = Annotated[float, typer.Option("--delta", help="The δ of the privacy guarantee.")]
VARIANT_HELP = (
    "Spend the budget on marginals of pairs, on discriminators (gan) or on both. three-way: on "
    "marginals of pairs, and of the triples of columns that say more than pairs. listen: on both, but "
    "if the first messages of the discriminators say no more than noise, on marginals again in "
    "place of the rest. auto: three-way where triples can be told from noise, else marginals."
)
Variant = Annotated[VariantName, typer.Option("--variant", help=VARIANT_HELP)]


class TrustName(StrEnum):
    """Who makes the noise."""

    LOCAL = "local"
    SECURE_SUM = "secure-sum"


TRUST_HELP = (
    "local: every site adds all noise to what it sends. secure-sum: the sites add their counts up "
    "under masks and make one noise together, so that the result is more accurate; every site's "
    "policy must allow it (docs/SECURE_SUM.md)."
)
COLLUDERS_HELP = (
    "With secure-sum: how many sites may work together with the coordinator or be missing, together. "
    "By default a fifth of them, at least one."
)
SITE_MARGINALS_HELP = (
    "With secure-sum: ask every site for its own one-way marginals too, with all of its own noise, for "
    "15 % of the squared budget. Worth it where sites differ much (docs/SECURE_SUM.md)."
)
Trust = Annotated[TrustName, typer.Option("--trust", help=TRUST_HELP)]
Colluders = Annotated[int | None, typer.Option("--colluders", min=1, help=COLLUDERS_HELP)]
SiteMarginals = Annotated[bool, typer.Option("--site-marginals", help=SITE_MARGINALS_HELP)]
ReceiptKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--receipt-key",
        help="With secure-sum: SITE=HEX, as `fedsynth site key` prints it at the site. Repeat the "
        "option for every site.",
    ),
]


class EveryName(StrEnum):
    """How long a cohort of dates is."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


Cohort = Annotated[
    str | None,
    typer.Option(
        "--cohort",
        help="Measure and charge the records of this cohort alone, such as 2026Q4, or ..2026Q4 for all "
        "up to it. The schema must declare cohorts (docs/COHORTS.md).",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
