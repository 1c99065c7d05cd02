"""Brings a site into a study: writes its invitation, admits it when its answer comes back.

To admit a site is to register its courier's key under the site's name at the SuperLink, and to write its
receipt key into study.toml, so that nobody else can enrol under the name.
"""

import base64
import json
import re
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)

from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_common.protocol.key_change import KeyChange
from fedsynth_common.protocol.signed_file import Answer, Invitation, fingerprint, signed
from fedsynth_server.coordinator.folder import CoordinatorFolder
from fedsynth_server.study.folder import StudyFolder, SuperLinkAddress
from fedsynth_server.superlink.app_bundle import bundle
from fedsynth_server.superlink.control import SuperLink


def invitation(study: StudyFolder, coordinator: CoordinatorFolder, site: str) -> bytes:
    """The signed file that one site gets.

    Raises:
        InputError: the plan does not name this site, or the coordinator's files are not there.
    """
    plan, settings = study.plan(), coordinator.settings()
    if site not in plan.sites:
        raise InputError(f"{site}: is not a site of {study.plan_file} ({', '.join(plan.sites)})")
    content = Invitation(
        study=plan.study,
        site=site,
        superlink=f"{settings.host}:{settings.port}",
        authority=coordinator.authorities(),
        plan=study.plan_file.read_text("utf-8"),
        bundle=base64.b64encode(bundle()).decode(),
    )
    return signed(content, coordinator.signing_key())


def invitation_fingerprint(coordinator: CoordinatorFolder) -> str:
    """What the coordinator tells the sites by telephone."""
    return fingerprint(coordinator.signing_key().public_key().public_bytes_raw().hex())


def superlink_of(coordinator: CoordinatorFolder) -> SuperLinkAddress:
    """Where the commands of this computer reach the coordinator's SuperLink."""
    address = f"127.0.0.1:{coordinator.settings().superlink_port}"
    return SuperLinkAddress(address=address, root_certificate=coordinator.ca)


def remove(coordinator: CoordinatorFolder, site: str) -> int:
    """Let no courier of this name connect any more; returns how many there were.

    Raises:
        InputError: there is none.
        FedsynthError: the SuperLink cannot be reached, or refuses.
    """
    with SuperLink(superlink_of(coordinator)) as link:
        couriers = link.couriers()
        nodes = [one.node for one in couriers if one.name == site]
        if not nodes:
            known = ", ".join(sorted({one.name for one in couriers})) or "none"
            raise InputError(f"{site}: no courier of this name may connect; known are: {known}")
        for node in nodes:
            link.unregister(node)
    return len(nodes)


@dataclass(frozen=True)
class Admitted:
    """What was done for a site: whether its courier's key, or its receipt key, was new here.

    `replaced` says how many earlier couriers of the site may connect no more.
    """

    site: str
    registered: bool
    noted: bool
    replaced: int = 0


def admit(study: StudyFolder, answer: Answer, key: str) -> Admitted:
    """Register a site's courier and note its receipt key (hex), with which the answer was signed.

    If the site's receipt key was known before, the courier's key replaces an earlier one, which may
    connect no more. Repeating it changes nothing.

    Raises:
        InputError: the answer is for another plan or site, or study.toml names another key for it.
        FedsynthError: the SuperLink cannot be reached, or refuses.
    """
    plan = study.plan()
    if answer.plan_digest != plan.digest or answer.study != plan.study:
        raise InputError(
            f"answer of {answer.site}: is for another plan than {study.plan_file}; send the site a new "
            "invitation"
        )
    if answer.site not in plan.sites:
        raise InputError(f"answer of {answer.site}: is not a site of {study.plan_file}")
    named = study.receipt_keys().get(answer.site)
    if named is not None and named.hex() != key:
        raise InputError(
            f"answer of {answer.site}: is signed with another receipt key than {study.config_file} "
            "names; compare it with the site by telephone before you correct the file"
        )
    public = _node_key(answer)
    with SuperLink(study.config().superlink) as link:
        registered = link.register(public, answer.site)
        own = [one for one in link.couriers() if one.name == answer.site]
        if public not in [one.key for one in own]:
            raise InputError(
                f"answer of {answer.site}: its node key was removed before and stays out; "
                "the site makes a new one: fedsynth site rotate node-key"
            )
        earlier = [one for one in own if one.key != public] if named else []
        for one in earlier:
            link.unregister(one.node)
    if named is None:
        note_key(study, answer.site, key)
    return Admitted(answer.site, registered, named is None, len(earlier))


def admit_key(study: StudyFolder, change: KeyChange, old: str) -> bool:
    """Note the key that replaces a site's receipt key `old`; False if that was done before.

    Raises:
        InputError: study.toml names another key, or the study has begun with the old one.
    """
    what, plan = f"key change of {change.site}", study.plan()
    if change.site not in plan.sites:
        raise InputError(f"{what}: is not a site of {study.plan_file} ({', '.join(plan.sites)})")
    named = study.receipt_keys().get(change.site, b"").hex()
    if named == change.new_key:
        return False
    if plan.secure_sum:
        raise InputError(
            f"{what}: the plan of a secure sum names the old key, and the sites approved it; make a new "
            "study with the new key"
        )
    if named != old:
        raise InputError(
            f"{what}: {study.config_file} does not name the key that it replaces ({fingerprint(old)}); "
            "admit the site by its answer, or compare the keys with the site by telephone"
        )
    if study.begun():
        raise InputError(
            f"{what}: the study has begun with the old key, and its journal holds replies under it. If "
            "it is finished there is nothing to do. If not, it goes on without the site where "
            "study.toml has a quorum; else begin it again in a new folder"
        )
    note_key(study, change.site, change.new_key, old)
    return True


def _node_key(answer: Answer) -> bytes:
    """The courier's public key in PEM, as the Control API wants it.

    Raises:
        InputError: it is not an ECDSA P-384 key.
    """
    try:
        public = load_ssh_public_key(answer.node_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise InputError(f"answer of {answer.site}: its node key is none; ask for a new answer")
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def note_key(study: StudyFolder, site: str, key: str, old: str = "") -> None:
    """Write the key under [receipt_keys], for `old`; the rest of the file, comments included, stays."""
    text = study.config_file.read_text("utf-8")
    name = site if re.fullmatch(r"[A-Za-z0-9_-]+", site) else json.dumps(site, ensure_ascii=False)
    line = f'{name} = "{key}"'
    proposed = re.compile(rf'^#? ?{re.escape(name)} = "{old}"$', re.MULTILINE)
    if proposed.search(text):
        edited = proposed.sub(lambda _: line, text, count=1)
    else:
        edited = text.replace("[receipt_keys]\n", f"[receipt_keys]\n{line}\n", 1)
    write_durably(study.config_file, edited.encode())
    if study.receipt_keys().get(site) != bytes.fromhex(key):
        write_durably(study.config_file, text.encode())
        raise InputError(f"{study.config_file}: write under [receipt_keys] by hand: {line}")
