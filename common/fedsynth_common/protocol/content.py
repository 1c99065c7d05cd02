"""What a request is, as a hash: equal for the coordinator that sends it and the sites that answer."""

import hashlib

from google.protobuf.message import Message


def request_hash(request: Message) -> bytes:
    """SHA-256 of the request's canonical bytes."""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
