from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Over(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECORDS: _ClassVar[Over]
    PERSONS: _ClassVar[Over]
    EVENTS: _ClassVar[Over]
    NEXT: _ClassVar[Over]
RECORDS: Over
PERSONS: Over
EVENTS: Over
NEXT: Over

class EnrollRequest(_message.Message):
    __slots__ = ("protocol_version", "plan_json")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    PLAN_JSON_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    plan_json: bytes
    def __init__(self, protocol_version: _Optional[int] = ..., plan_json: _Optional[bytes] = ...) -> None: ...

class EnrollReply(_message.Message):
    __slots__ = ("status", "package_version", "receipt_key", "site", "signature")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_KEY_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    status: str
    package_version: str
    receipt_key: bytes
    site: str
    signature: bytes
    def __init__(self, status: _Optional[str] = ..., package_version: _Optional[str] = ..., receipt_key: _Optional[bytes] = ..., site: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class View(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: bytes
    def __init__(self, groups: _Optional[bytes] = ...) -> None: ...

class Axis(_message.Message):
    __slots__ = ("column", "view", "at")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    column: int
    view: int
    at: int
    def __init__(self, column: _Optional[int] = ..., view: _Optional[int] = ..., at: _Optional[int] = ...) -> None: ...

class Marginal(_message.Message):
    __slots__ = ("axes", "noise_variance", "over", "lag", "weight")
    AXES_FIELD_NUMBER: _ClassVar[int]
    NOISE_VARIANCE_FIELD_NUMBER: _ClassVar[int]
    OVER_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    axes: _containers.RepeatedCompositeFieldContainer[Axis]
    noise_variance: int
    over: Over
    lag: int
    weight: int
    def __init__(self, axes: _Optional[_Iterable[_Union[Axis, _Mapping]]] = ..., noise_variance: _Optional[int] = ..., over: _Optional[_Union[Over, str]] = ..., lag: _Optional[int] = ..., weight: _Optional[int] = ...) -> None: ...

class MeasureRequest(_message.Message):
    __slots__ = ("plan_digest", "step", "views", "marginals", "parties")
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    MARGINALS_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    plan_digest: bytes
    step: int
    views: _containers.RepeatedCompositeFieldContainer[View]
    marginals: _containers.RepeatedCompositeFieldContainer[Marginal]
    parties: bytes
    def __init__(self, plan_digest: _Optional[bytes] = ..., step: _Optional[int] = ..., views: _Optional[_Iterable[_Union[View, _Mapping]]] = ..., marginals: _Optional[_Iterable[_Union[Marginal, _Mapping]]] = ..., parties: _Optional[bytes] = ...) -> None: ...

class MeasureReply(_message.Message):
    __slots__ = ("status", "counts")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    status: str
    counts: bytes
    def __init__(self, status: _Optional[str] = ..., counts: _Optional[bytes] = ...) -> None: ...

class DiscriminateRequest(_message.Message):
    __slots__ = ("plan_digest", "step", "views", "weights", "moments", "parties")
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    MOMENTS_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    plan_digest: bytes
    step: int
    views: _containers.RepeatedCompositeFieldContainer[View]
    weights: bytes
    moments: bytes
    parties: bytes
    def __init__(self, plan_digest: _Optional[bytes] = ..., step: _Optional[int] = ..., views: _Optional[_Iterable[_Union[View, _Mapping]]] = ..., weights: _Optional[bytes] = ..., moments: _Optional[bytes] = ..., parties: _Optional[bytes] = ...) -> None: ...

class DiscriminateReply(_message.Message):
    __slots__ = ("status", "weights", "moments", "sums")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    MOMENTS_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    status: str
    weights: bytes
    moments: bytes
    sums: bytes
    def __init__(self, status: _Optional[str] = ..., weights: _Optional[bytes] = ..., moments: _Optional[bytes] = ..., sums: _Optional[bytes] = ...) -> None: ...

class KeysRequest(_message.Message):
    __slots__ = ("plan_digest",)
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    plan_digest: bytes
    def __init__(self, plan_digest: _Optional[bytes] = ...) -> None: ...

class KeysReply(_message.Message):
    __slots__ = ("status", "keys", "signature")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    status: str
    keys: bytes
    signature: bytes
    def __init__(self, status: _Optional[str] = ..., keys: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class PartyKeys(_message.Message):
    __slots__ = ("party", "keys", "signature")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    party: int
    keys: bytes
    signature: bytes
    def __init__(self, party: _Optional[int] = ..., keys: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class SharesRequest(_message.Message):
    __slots__ = ("plan_digest", "roster")
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    plan_digest: bytes
    roster: _containers.RepeatedCompositeFieldContainer[PartyKeys]
    def __init__(self, plan_digest: _Optional[bytes] = ..., roster: _Optional[_Iterable[_Union[PartyKeys, _Mapping]]] = ...) -> None: ...

class SharesReply(_message.Message):
    __slots__ = ("status", "sealed")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    status: str
    sealed: bytes
    def __init__(self, status: _Optional[str] = ..., sealed: _Optional[bytes] = ...) -> None: ...

class AgreeRequest(_message.Message):
    __slots__ = ("plan_digest", "step", "parties")
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    plan_digest: bytes
    step: int
    parties: bytes
    def __init__(self, plan_digest: _Optional[bytes] = ..., step: _Optional[int] = ..., parties: _Optional[bytes] = ...) -> None: ...

class AgreeReply(_message.Message):
    __slots__ = ("status", "signature")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    status: str
    signature: bytes
    def __init__(self, status: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class SetSignature(_message.Message):
    __slots__ = ("party", "signature")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    party: int
    signature: bytes
    def __init__(self, party: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class UnmaskRequest(_message.Message):
    __slots__ = ("plan_digest", "step", "parties", "signatures", "sealed")
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    plan_digest: bytes
    step: int
    parties: bytes
    signatures: _containers.RepeatedCompositeFieldContainer[SetSignature]
    sealed: bytes
    def __init__(self, plan_digest: _Optional[bytes] = ..., step: _Optional[int] = ..., parties: _Optional[bytes] = ..., signatures: _Optional[_Iterable[_Union[SetSignature, _Mapping]]] = ..., sealed: _Optional[bytes] = ...) -> None: ...

class UnmaskReply(_message.Message):
    __slots__ = ("status", "shares")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    status: str
    shares: bytes
    def __init__(self, status: _Optional[str] = ..., shares: _Optional[bytes] = ...) -> None: ...

class ReceiptRequest(_message.Message):
    __slots__ = ("plan_digest",)
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    plan_digest: bytes
    def __init__(self, plan_digest: _Optional[bytes] = ...) -> None: ...

class ReceiptReply(_message.Message):
    __slots__ = ("status", "receipt_json", "signature")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_JSON_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    status: str
    receipt_json: bytes
    signature: bytes
    def __init__(self, status: _Optional[str] = ..., receipt_json: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...
