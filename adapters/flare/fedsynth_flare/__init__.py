"""A vault and a study in a network of NVIDIA FLARE, in the place of Flower's SuperNode and SuperLink.

`site.py` runs inside a site's FLARE client and needs fedsynth-client; `coordinator.py` runs inside
the FLARE server and needs fedsynth-server. Neither imports the other. What passes the network is the
same: the serialised messages of `vault.proto`, which the vault checks, charges and answers as ever.
"""

TASK_PREFIX = "fedsynth."
"""A task of FLARE is named by this and the method of the vault: `fedsynth.measure`."""

BODY = "body"
"""The one entry of a task's or an answer's Shareable: the serialised message."""
