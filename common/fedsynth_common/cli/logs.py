"""How vault, courier and coordinator write their logs: lines on standard error, whatever else is loaded.

`logging.basicConfig` does nothing once a dependency has given the root logger a handler of its own, and
several do when they are imported. So the loggers of fedsynth have a handler of their own and pass
nothing on to the root logger.
"""

import logging

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def log_to_stderr() -> None:
    """Write what the loggers of fedsynth say from level INFO on to standard error, once a line."""
    logger = logging.getLogger("fedsynth")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
