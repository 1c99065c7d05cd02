"""What readers of a release use: the finished generator, its privacy statement, and what judges it.

The coordinator installs it, and so does everybody who draws, verifies or evaluates synthetic
records. A site does not need it; `fedsynth site score` is the one command of a site that uses it.
"""
