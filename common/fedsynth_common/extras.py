"""The extras of the distribution `fedsynth`, and which of them brings a command.

`pip install fedsynth` brings what readers of a release use: drafting, sampling, verification,
evaluation and the report. Everything else comes with an extra, so that an analyst installs neither
Flower nor Ray. This is the one place that says which extra a command belongs to, for the messages
of commands and functions that are not installed.
"""

EXTRAS = {
    "simulate": "many sites on one computer, and the benchmark",
    "demo": "the demonstration, with its table",
    "site": "the vault and the courier of a site",
    "server": "the studies of a coordinator, and its computer",
    "sql": "records in a database of a site",
    "serve": "a release as a service over HTTP",
    "analyses": "declared analyses on real and on synthetic rows",
    "notebook": "moving progress bars in a notebook",
    "all": "all of these",
}
"""Each extra of the distribution `fedsynth` that a user may want, and what it is for."""

EXTRA_OF_COMMAND = {
    "schema": "",
    "sample": "",
    "verify": "",
    "report": "",
    "evaluate": "",
    "serve": "serve",
    "simulate": "simulate",
    "benchmark": "simulate",
    "demo": "demo",
    "site": "site",
    "study": "server",
    "coordinator": "server",
}
"""The extra that brings each sub-command; no extra where `fedsynth` alone brings it."""


def how_to_install(extra: str = "") -> str:
    """The command line that installs an extra of `EXTRAS`, or without one what everybody gets.

    >>> how_to_install("simulate")
    "pip install 'fedsynth[simulate]'"
    >>> how_to_install()
    'pip install fedsynth'

    Raises:
        KeyError: there is no such extra.
    """
    if not extra:
        return "pip install fedsynth"
    if extra not in EXTRAS:
        raise KeyError(extra)
    return f"pip install 'fedsynth[{extra}]'"
