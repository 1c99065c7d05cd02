"""report.html: what a generator is worth and what it cost, on one page without scripts.

`write_report` is all that other packages need; `StudyHistory` is what a coordinator may add.
"""

from fedsynth_release.report.first_page import FirstPage, summary_lines
from fedsynth_release.report.history import Curve, StudyHistory
from fedsynth_release.report.page import write_report

__all__ = ["Curve", "FirstPage", "StudyHistory", "summary_lines", "write_report"]
