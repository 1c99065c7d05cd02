"""What travels between a coordinator and a site: the plan, the messages, their byte layouts.

Light on purpose: the courier imports it, so neither torch nor pandas may be imported from here.
"""

PROTOCOL_VERSION = 5


def enrolment_text(plan_digest: bytes, site: str) -> bytes:
    """What a site signs with its receipt key when it enrols: that it, of this name, has this plan.

    Receipt keys are printed in the documents of every finished study, so showing one proves nothing.
    The plan's digest (32 bytes) makes the signature useless for any other study. The first words make
    it useless for any other purpose, since a receipt is JSON and does not begin with them.
    """
    return b"fedsynth enrolment\0" + plan_digest + site.encode()
