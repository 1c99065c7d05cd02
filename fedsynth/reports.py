"""The report of a generator as an object: shown in a notebook, or saved as one HTML file."""

import html
from dataclasses import dataclass
from pathlib import Path

from fedsynth.notices import in_python
from fedsynth_common.durable import write_output
from fedsynth_common.errors import InputError

HEIGHT = 720
"""Pixels of the frame in a notebook."""


@dataclass(frozen=True, repr=False)
class Report:
    """One page about a generator: which columns to trust, what they cost, what the limits are.

    Attributes:
        html: the page, which loads nothing from a network and runs no script.
        private: whether it holds figures computed from real records, so that it must not be published.
    """

    html: str
    private: bool = False

    def __repr__(self) -> str:
        size = len(self.html.encode()) / 1000
        return f"<fedsynth.Report of {size:,.0f} kB; save it with .save('report.html')>"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its styles do not change the notebook."""
        page = html.escape(self.html, quote=True)
        style = f"width:100%;height:{HEIGHT}px;border:1px solid #ccc"
        return f'<iframe title="report" sandbox="" srcdoc="{page}" style="{style}"></iframe>'

    @in_python()
    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write the page; with figures of real records, only its owner may read the file.

        Args:
            path: an HTML file whose folder exists.
            force: whether an existing file may be replaced.

        Raises:
            InputError: the file exists, or cannot be written.
        """
        place = Path(path)
        if place.is_dir():
            raise InputError(f"{place}: is a folder; name a file such as report.html")
        if place.exists() and not force:
            raise InputError(f"{place}: exists; choose another name or pass --force")
        write_output(place, self.html, 0o600 if self.private else None)
        return place
