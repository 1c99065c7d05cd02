"""`fedsynth study invite` and `admit`: the two files that bring a site into a study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_server.cli.options import Folder, Force

if TYPE_CHECKING:
    from fedsynth_server.coordinator.folder import CoordinatorFolder
    from fedsynth_server.study.folder import StudyFolder

Coordinator = Annotated[
    Path, typer.Option("--coordinator", help="The folder of `fedsynth coordinator init`.")
]


def invite(
    folder: Folder,
    site: Annotated[str, typer.Argument(metavar="SITE", help="A site of the plan.")],
    coordinator: Coordinator,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write. By default FOLDER/invitations/SITE.invitation."),
    ] = None,
    force: Force = False,
) -> None:
    """Write one signed file with all that a site needs: plan, address, certificate, app bundle."""
    from fedsynth_server.coordinator.folder import CoordinatorFolder
    from fedsynth_server.study.folder import StudyFolder

    path = write_invitation(StudyFolder(folder), CoordinatorFolder(coordinator), site, out, force)
    typer.echo(f"{path}: for {site}, who types: fedsynth site join {path.name} ...")


def write_invitation(
    study: "StudyFolder",
    coordinator: "CoordinatorFolder",
    site: str,
    out: Path | None = None,
    force: bool = False,
) -> Path:
    """Write the invitation of one site, and return where it lies."""
    from fedsynth_server.coordinator.entry import invitation

    data = invitation(study, coordinator, site)
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in site)
    path = out or study.path / "invitations" / f"{name}.invitation"
    if path.exists() and not force:
        raise InputError(f"{path}: exists; choose another name with --out or pass --force")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def hub_of(coordinator: Path | None) -> "CoordinatorFolder | None":
    """The coordinator's folder, if one is named; it is read before anything is written."""
    if coordinator is None:
        return None
    from fedsynth_server.coordinator.folder import CoordinatorFolder

    hub = CoordinatorFolder(coordinator)
    hub.settings()
    hub.signing_key()
    return hub


def admit(
    folder: Folder,
    answers: Annotated[
        list[Path],
        typer.Argument(metavar="ANSWER...", help="What the sites sent: answers, changes of keys."),
    ],
) -> None:
    """Register the couriers of sites that answered, and note their receipt keys in study.toml.

    The command says a fingerprint for each site: compare it by telephone before the study runs. A site
    that has replaced its node key sends its answer again, and the old key is shut out. One that has
    replaced its receipt key sends a .key-change file, signed by the old key.
    """
    from fedsynth_common.protocol.key_change import read_from_site
    from fedsynth_common.protocol.signed_file import Answer, fingerprint
    from fedsynth_server.coordinator.entry import admit as let_in
    from fedsynth_server.coordinator.entry import admit_key
    from fedsynth_server.study.folder import StudyFolder

    study = StudyFolder(folder)
    for file in answers:
        answer, key = read_from_site(file)
        if isinstance(answer, Answer):
            done = let_in(study, answer, key)
            what = "admitted" if done.registered or done.noted else "was admitted before"
            what += ", in place of its earlier node key" if done.replaced else ""
        else:
            what = "its receipt key " + (
                "is replaced" if admit_key(study, answer, key) else "was replaced before"
            )
            key = answer.new_key
        typer.echo(f"{answer.site}: {what}; compare by telephone: {fingerprint(key)}")
    missing = [site for site in study.plan().sites if site not in study.receipt_keys()]
    if missing:
        typer.echo(f"still to answer: {', '.join(missing)}")
    else:
        typer.echo(f"all sites are admitted; next: fedsynth study run {folder}")
