"""The privacy core: everything that an auditor must read to believe an epsilon.

Each mechanism has a file. Nothing here imports another part of fedsynth, so the folder can be read,
tested and replaced by itself. `PRIVACY.md` beside it leads from each claim to function, equation, test.

* `randomness`: where random bits come from (operating system entropy through ChaCha20).
* `noise`: the only place that draws privacy noise (exact discrete Gaussian; Gaussian).
* `sampling`: Poisson sampling of records at a public rate.
* `clipping`: bounds what one record can add to a gradient sum. `rounding`: how far float64 can shift it.
* `events`: what ran, as data. `accounting`: what it costs. `gaussian_dp`: an approximation of the cost.

The submodules are imported by name, not from here: only `clipping` needs torch and only
`accounting` needs dp-accounting, and most processes need neither.
"""


class PrivacyError(ValueError):
    """A request that cannot be made private, or cannot be accounted for. Never holds a record."""
