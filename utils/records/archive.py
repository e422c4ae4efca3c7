"""The folders of one run: found or made, locked, written to, read back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING

from utils.errors import UserError
from utils.progress import say
from utils.records.checkpoints import read_checkpoint, remove_checkpoint, write_checkpoint
from utils.records.folders import (
    Folder,
    clear_away,
    create_folders,
    discard,
    matching_folders,
)
from utils.records.results import Incomplete, Result, check_complete, read_json, write_result
from utils.settings import Member, Run, Setting

if TYPE_CHECKING:
    from utils.world import World

try:
    import fcntl
except ImportError:  # Windows has no such locks; two runs there must not resume one folder
    fcntl = None


def open_folders(
    output_dir: Path,
    settings: Sequence[Setting],
    data_sha256: str,
    choose: Callable[[list[Folder]], Folder] | None,
) -> list[Folder]:
    """The folder of each setting: the one that `choose` takes of those there are, or a new one.

    choose: for resuming; gets the folders of exactly this setting, oldest first. None: all new.
    """
    found = {}
    for setting in settings if choose else ():
        clear_away(output_dir, setting)
        if folders := matching_folders(output_dir, setting, data_sha256):
            found[setting] = choose(folders)
    new = [setting for setting in settings if setting not in found]
    if new:
        found |= zip(new, create_folders(output_dir, new, data_sha256), strict=True)
    return [found[setting] for setting in settings]


def newest(folders: list[Folder]) -> Folder:
    return folders[-1]


def fullest(folders: list[Folder]) -> Folder:
    """The one in which most has been done: complete networks, then steps, the newest of equals."""
    if len(folders) == 1:
        return folders[0]

    def done(folder: Folder) -> tuple[int, int, str]:
        complete = {folder.model_of(path) for path in folder.path.glob("*.json")}
        halfway = {folder.model_of(path) for path in folder.path.glob("*-checkpoint.pth")}
        checkpoints = (read_checkpoint(folder, model) for model in halfway - complete - {None})
        return len(complete), sum(c["step"] for c in checkpoints if c), folder.id

    chosen = max(folders, key=done)
    say(f"{chosen.id}: taken from {len(folders)} folders of this setting, since it holds most")
    return chosen


class Archive:
    """Where the networks of a run are kept: one folder for each setting."""

    def __init__(self, folders: Sequence[Folder]):
        self.folders = {folder.setting: folder for folder in folders}
        self.locks: list[IO] = []

    @classmethod
    def open(cls, run: Run, data_sha256: str, world: World) -> tuple[Archive, list[Member]]:
        """The archive of a run, and the members that it does not hold yet.

        Process 0 finds or makes the folders and keeps other runs out of them; all processes get
        the same answer. Raises UserError if another run is at work in a folder, RecordError if
        folders cannot be made.
        """
        first: list[Archive] = []  # holds the locks

        def decide() -> dict:
            choose = fullest if run.resume else newest if world.restarts else None
            folders = open_folders(run.output_dir, run.settings, data_sha256, choose)
            first.append(cls(folders))
            first[0].lock()
            missing = set(first[0].take_stock(run.members) if choose else run.members)
            numbers = [n for n, member in enumerate(run.members) if member in missing]
            return {"folders": [folder.id for folder in folders], "missing": numbers}

        decision = world.agree(decide)
        names = zip(decision["folders"], run.settings, strict=True)
        folders = [Folder(run.output_dir / name, setting) for name, setting in names]
        archive = first[0] if first else cls(folders)
        return archive, [run.members[number] for number in decision["missing"]]

    def lock(self) -> None:
        """Keep other runs out of the folders until this process ends."""
        for folder in self.folders.values() if fcntl else ():
            try:
                file = folder.settings.open("rb+")
                self.locks.append(file)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"{folder.path} is in use by another run; wait until it has ended"
                ) from None
            except OSError:
                pass  # a file system without locks, or a folder that can only be read

    def forget_locks(self) -> None:
        """In a process forked from this one: leave the locks to it, so that they end with it."""
        for file in self.locks:
            file.close()

    def take_stock(self, members: Sequence[Member]) -> list[Member]:
        """The members that are not complete; says so, and clears away what was half written."""
        missing = []
        for setting, mine in groupby(members, key=lambda member: member.setting):
            folder = self.folders[setting]
            for path in folder.path.glob(".*.tmp"):
                with suppress(OSError):
                    path.unlink()
            complete, left = [], []
            for member in mine:
                (complete if self.is_complete(member) else left).append(member)
            for member in complete:  # a run that was killed may have left it
                remove_checkpoint(folder, member.model)
            halfway = sum(self.step_of(member) > 0 for member in left)
            say(
                f"{folder.id}: {len(complete)} of {len(complete + left)} networks are complete, "
                f"{halfway} go on from a checkpoint, {len(left) - halfway} start afresh"
            )
            missing += left
        return missing

    def is_complete(self, member: Member) -> bool:
        try:
            check_complete(self.folders[member.setting], member.model)
        except Incomplete:
            return False
        return True

    def record(self, member: Member) -> dict:
        """The JSON record of a complete network; raises Incomplete otherwise."""
        return read_json(self.folders[member.setting], member.model)

    def save(self, result: Result, provenance: dict) -> None:
        """Write a network's files; raises RecordError if that fails."""
        folder = self.folders[result.member.setting]
        write_result(folder, result, provenance)
        remove_checkpoint(folder, result.member.model)

    def save_checkpoint(self, member: Member, content: dict) -> None:
        write_checkpoint(self.folders[member.setting], member.model, content)

    def checkpoint(self, member: Member) -> dict | None:
        """The checkpoint of a network, if it has one."""
        return read_checkpoint(self.folders[member.setting], member.model)

    def step_of(self, member: Member) -> int:
        """The step that a network goes on from, 0 without a checkpoint."""
        checkpoint = self.checkpoint(member)
        return checkpoint["step"] if checkpoint else 0

    def saved(self, members: Sequence[Member], alone: bool) -> str:
        """What a stopped run leaves, in words; folders that hold nothing are removed.

        alone: whether this process is the only one of the run. Otherwise the folders stay, since
        others may be about to write into them.
        """
        complete = sum(self.is_complete(member) for member in members)
        halfway = sum(
            self.step_of(member) > 0 for member in members if not self.is_complete(member)
        )
        if complete + halfway == 0:
            for folder in self.folders.values() if alone else ():
                discard(folder)
            return "nothing was trained yet"
        return (
            f"of {len(members)} networks {complete} are complete and {halfway} have a checkpoint; "
            "the same command with --resume goes on"
        )
