"""Makes a site of an invitation, or brings a site that exists into another study; and its answer.

An invitation is signed with the coordinator's key. The first one of a site tells that key, whose
fingerprint two people compare by telephone. It is kept in `coordinator.key.pub`, and an invitation that
another key signed is refused from then on.
"""

from dataclasses import dataclass
from pathlib import Path

from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_client.connection.approved_bundle import Bundle, inspect, install
from fedsynth_client.connection.node_key import make_node_key, public_line
from fedsynth_client.new_site import CONFIG, write_new_site
from fedsynth_client.settings.site_config import CourierConfig, SiteConfig
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.protocol.signed_file import Answer, Invitation, fingerprint, signed
from fedsynth_common.schema import Schema

COORDINATOR_KEY = "coordinator.key.pub"


@dataclass(frozen=True, kw_only=True)
class NewSite:
    """What only the site knows, for a folder that does not exist yet."""

    data: Path | None = None
    dataset: str = ""
    max_epsilon: float | None = None
    courier: Path | None = None
    socket: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A site whose files are complete.

    Attributes:
        config: site.toml.
        new: whether the folder was made now.
        plan_file: the plan of the invitation, to be approved.
        answer: the file for the coordinator.
    """

    config: Path
    new: bool
    plan_file: Path
    answer: Path
    plan: Plan
    bundle: Bundle


def join(invitation: Invitation, file: bytes, key: str, folder: Path, told: NewSite) -> Joined:
    """Write a site's files; those that exist are kept.

    Args:
        invitation: whose signature was checked.
        file: the invitation as it was sent; it is kept, for a restore.
        key: of the coordinator, in hex.
        folder: of the site.
        told: by the steward, for a new site.

    Raises:
        InputError: something is missing, or does not fit the site that is there.
    """
    plan = Plan.from_json(invitation.plan)
    if plan.study != invitation.study or invitation.site not in plan.sites:
        raise InputError("invitation: does not fit its own plan; ask for it again")
    bundled = inspect(invitation.bundle_bytes)
    config = folder / CONFIG
    new = not config.exists()
    if new:
        _make(invitation, plan, folder, told)
    site = SiteConfig.load(config)
    courier = courier_of(site, config)
    _require_fit(invitation, plan, site, courier)
    _keep(folder / COORDINATOR_KEY, f"{key}\n", _another_key(key))
    _keep(
        courier.root_certificates,
        invitation.authority,
        "the invitation names another authority; ask the coordinator for its notice and type: fedsynth "
        "site rotate authority NOTICE. Without one, compare the authority by telephone, and replace the "
        "file if it is right",
    )
    install(invitation.bundle_bytes, courier.home)
    make_node_key(courier.node_key, invitation.site)
    plan_file = folder / f"{plan.study}.plan.json"
    plan_file.write_bytes(plan.to_json())
    write_durably(folder / f"{plan.study}.invitation", file)
    return Joined(
        config=config,
        new=new,
        plan_file=plan_file,
        answer=write_answer(folder, plan, invitation.site, site, courier),
        plan=plan,
        bundle=bundled,
    )


def _make(invitation: Invitation, plan: Plan, folder: Path, told: NewSite) -> None:
    missing = [
        option
        for option, value in (
            ("--data: the site's table", told.data),
            (
                "--dataset: a name for the people in it, under which all studies add up",
                told.dataset,
            ),
            ("--max-epsilon: what may be spent on them, ever", told.max_epsilon),
        )
        if not value
    ]
    if missing:
        raise InputError(f"{folder}: is a new site; it needs {'; '.join(missing)}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    schema = folder / "schema.json"
    _keep(schema, plan.table.to_json(), "is another schema than the plan's; choose a new folder")
    write_new_site(
        folder,
        data=told.data,
        schema=schema,
        dataset=told.dataset,
        site=invitation.site,
        max_epsilon=told.max_epsilon or 1.0,
        superlink=invitation.superlink,
        courier=told.courier,
        socket=told.socket,
    )


def courier_of(site: SiteConfig, config: Path) -> CourierConfig:
    """The courier's configuration.

    Raises:
        InputError: site.toml, which is `config`, names none, or it cannot be read.
    """
    if site.courier is None:
        raise InputError(
            f"configuration {config}: courier: names no file; see `fedsynth site init`"
        )
    return CourierConfig.load(site.courier)


def _require_fit(
    invitation: Invitation, plan: Plan, site: SiteConfig, courier: CourierConfig
) -> None:
    """Refuse an invitation for another site, table or coordinator than the folder's."""
    named = Policy.load(site.policy).site
    if named != invitation.site:
        raise InputError(
            f"policy {site.policy}: names the site {named}, and the invitation is for "
            f"{invitation.site}; choose the folder of that site, or a new one"
        )
    if Schema.load(site.table_schema) != plan.table:
        raise InputError(
            f"{site.table_schema}: is another schema than the plan's; a table in another form is "
            "another site: choose a new folder, and the same dataset for the same people"
        )
    if courier.superlink != invitation.superlink:
        raise InputError(
            f"{site.courier}: superlink: is {courier.superlink}, and the invitation says "
            f"{invitation.superlink}; ask the coordinator which is right"
        )


def _another_key(key: str) -> str:
    return (
        f"another key signed the earlier invitations; this one has the fingerprint {fingerprint(key)}. "
        "Ask the coordinator by telephone, and delete the file if the new key is right"
    )


def _keep(path: Path, text: str, other: str) -> None:
    """Write a file, or refuse one that says something else.

    Raises:
        InputError: it exists with other content.
    """
    if path.exists():
        if path.read_text("utf-8") != text:
            raise InputError(f"{path}: {other}")
        return
    path.write_text(text, "utf-8")
    path.chmod(0o644)


def write_answer(
    folder: Path, plan: Plan, name: str, site: SiteConfig, courier: CourierConfig
) -> Path:
    """Write the answer to an invitation, signed with the receipt key; returns where it lies."""
    content = Answer(
        study=plan.study,
        plan_digest=plan.digest,
        site=name,
        node_key=public_line(courier.node_key),
    )
    path = folder / f"{plan.study}.answer"
    path.write_bytes(signed(content, load_or_create_key(site.key)))
    return path
