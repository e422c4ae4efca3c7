"""Opens the archive of a run: finds or makes its folders, locks them, and looks through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import IO

from utils.console import log
from utils.errors import UserError
from utils.records.archive import Archive
from utils.records.checkpoints import read_checkpoint, remove_checkpoint
from utils.records.files import IncompleteFileError
from utils.records.folders import (
    Folder,
    check_names,
    clear_away,
    create_folders,
    matching_folders,
)
from utils.records.results import check_complete
from utils.records.session import Session
from utils.settings import Member, Setting, Task

try:
    import fcntl
except ImportError:  # Windows has no such locks; two runs there must not resume one folder
    fcntl = None

Choose = Callable[[list[Folder]], Folder]


def newest(folders: list[Folder]) -> Folder:
    return folders[-1]


def fullest(folders: list[Folder]) -> Folder:
    """Return the folder with most complete networks, then with most steps, then the newest."""
    if len(folders) == 1:
        return folders[0]

    def done(folder: Folder) -> tuple[int, int]:
        complete = {folder.model_of(path) for path in folder.path.glob("*.json")}
        halfway = {folder.model_of(path) for path in folder.path.glob("*-checkpoint.pth")}
        models = (model for model in halfway - complete if model is not None)
        checkpoints = (read_checkpoint(folder, model) for model in models)
        return len(complete), sum(c.step for c in checkpoints if c)

    chosen = max(reversed(folders), key=done)  # the newest of equals
    log(f"{chosen.id}: taken from {len(folders)} folders of this setting, since it holds most")
    return chosen


def open_archive(
    output_dir: Path,
    members: Sequence[Member],
    sessions: Mapping[Setting, Session],
    data_sha256: str,
    choose: Choose | None,
    broadcast: Callable[[Callable[[], dict]], dict],
) -> tuple[Archive, list[Task]]:
    """Return the archive of the members, and the tasks that are left to train.

    sessions: one for each setting; choose: selects the folder to resume among those of a setting,
    None to start in new folders; broadcast: gives all processes of a run what process 0 returns,
    which finds or makes the folders and locks them. Raises UserError, before any folder is made, if
    names would be too long for the file system or if another run uses a folder; RecordError if
    folders cannot be made.
    """

    locks: list[IO] = []

    def decide() -> dict:
        check_names(output_dir, members)
        folders: dict[Setting, Folder] = {}
        for setting in sessions:
            if choose is None:
                break
            clear_away(output_dir, setting)
            if found := matching_folders(output_dir, setting, data_sha256):
                folders[setting] = choose(found)
        locks.extend(lock(folders.values()))
        new = [setting for setting in sessions if setting not in folders]
        made = create_folders(output_dir, new, data_sha256) if new else []
        locks.extend(lock(made))
        folders |= {folder.setting: folder for folder in made}
        steps = dict.fromkeys(members, 0)
        if choose:
            steps = take_stock(Archive(folders, sessions), members)
        names = [folders[setting].id for setting in sessions]
        return {"folders": names, "steps": [steps.get(member) for member in members]}

    decision = broadcast(decide)
    names = zip(sessions, decision["folders"], strict=True)
    folders = {setting: Folder(output_dir / name, setting) for setting, name in names}
    steps = list(zip(members, decision["steps"], strict=True))
    complete = {member for member, step in steps if step is None}
    archive = Archive(folders, sessions, complete, locks)
    return archive, [Task(member, step) for member, step in steps if step is not None]


def lock(folders: Iterable[Folder]) -> list[IO]:
    """Lock folders for this run as long as the returned files are open.

    Raises UserError if another run has locked one of them.
    """
    files = []
    for folder in folders:
        if fcntl is None:
            break
        try:
            file = folder.settings.open("rb+")
            files.append(file)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder.path} is in use by another run; wait until it has ended"
            ) from None
        except OSError:
            pass  # a file system without locks, or a folder that can only be read
    return files


def take_stock(archive: Archive, members: Sequence[Member]) -> dict[Member, int]:
    """Return the step from which each member that is not complete is resumed.

    Logs a line for each setting that has results and one for all others, and removes what was only
    partly written.
    """
    steps: dict[Member, int] = {}
    n_new = 0
    for setting, group in groupby(members, key=lambda member: member.setting):
        folder, session = archive.folders[setting], archive.sessions[setting]
        for path in folder.path.glob(".*.tmp"):
            with suppress(OSError):
                path.unlink()
        n_complete, left, foreign, uncounted = 0, {}, set(), 0
        for member in group:
            if archive.is_complete(member):
                remove_checkpoint(folder, member.model)  # a run that was killed may have left it
                n_complete += 1
                continue
            uncounted += bool(session.ledger) and is_complete_but_for_ledger(folder, member.model)
            checkpoint, left[member] = read_checkpoint(folder, member.model), 0
            if checkpoint and checkpoint.step:
                differences = session.differences(checkpoint.sessions)
                foreign.update(differences)
                left[member] = 0 if differences else checkpoint.step
        steps |= left
        halfway = sum(step > 0 for step in left.values())
        if not (n_complete or halfway or foreign or uncounted):
            n_new += 1
            continue
        log(
            f"{folder.id}: {n_complete} of {n_complete + len(left)} networks are complete, "
            f"{halfway} go on from a checkpoint, {len(left) - halfway} start afresh"
            + f" (checkpoints are of another {', '.join(sorted(foreign))})" * bool(foreign)
            + f" ({uncounted} of them anew, since not all was counted that is asked for)"
            * bool(uncounted)
        )
    if n_new:
        log(f"{n_new} setting{'s' * (n_new > 1)} without results: all networks start afresh")
    return steps


def is_complete_but_for_ledger(folder: Folder, model: int) -> bool:
    try:
        check_complete(folder, model)
    except IncompleteFileError:
        return False
    return True
