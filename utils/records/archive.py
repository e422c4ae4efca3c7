"""The folders of one run: found or made, locked, written to, read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import IO, TYPE_CHECKING

from devices.ledger_level import LedgerLevel
from utils.console import log
from utils.errors import UserError
from utils.records.checkpoints import (
    Checkpoint,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)
from utils.records.folders import (
    Folder,
    clear_away,
    create_folders,
    discard,
    matching_folders,
)
from utils.records.ledgers import LedgerRecord, read_ledger
from utils.records.results import (
    IncompleteFileError,
    Record,
    Result,
    check_complete,
    read_intermediates,
    write_result,
)
from utils.run import Run
from utils.settings import Member, Setting

if TYPE_CHECKING:
    from utils.compute.distributed import World

try:
    import fcntl
except ImportError:  # Windows has no such locks; two runs there must not resume one folder
    fcntl = None


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
        return len(complete), sum(c.step for c in checkpoints if c), folder.id

    chosen = max(folders, key=done)
    log(f"{chosen.id}: taken from {len(folders)} folders of this setting, since it holds most")
    return chosen


class Archive:
    """Where the networks of a run are ledger_level: one folder for each setting.

    sitting: what this run is, and what decides its rounding: see records.checkpoints. complete: the
    networks known to be, without looking again. compiles: whether the steps of a setting are
    compiled, where that is not the same for all of the sitting.
    """

    def __init__(
        self,
        folders: Sequence[Folder],
        sitting: dict,
        compiles: Callable[[Setting], bool] | None = None,
    ):
        self.compiles = compiles
        self.folders = {folder.setting: folder for folder in folders}
        self.sitting = json.loads(json.dumps(sitting))  # as it is when read back
        self.ledger_level = LedgerLevel(sitting.get("ledger", LedgerLevel.NOTHING))
        self.complete: set[Member] = set()
        self.locks: list[IO] = []

    @classmethod
    def open(
        cls,
        run: Run,
        data_sha256: str,
        world: World,
        sitting: dict,
        compiles: Callable[[Setting], bool] | None = None,
    ) -> tuple[Archive, list[Member]]:
        """The archive of a run, and the members that it does not hold yet.

        Process 0 finds or makes the folders and keeps other runs out of them; all processes get
        the same answer. Raises UserError if another run is at work in a folder, before any is
        made; RecordError if folders cannot be made.
        """
        first: list[Archive] = []  # holds the locks

        def decide() -> dict:
            choose = fullest if run.resume else newest if world.restarts else None
            archive = cls([], sitting, compiles)
            for setting in run.settings if choose else ():
                clear_away(run.output_dir, setting)
                if found := matching_folders(run.output_dir, setting, data_sha256):
                    archive.folders[setting] = choose(found)
            archive.lock(archive.folders.values())
            new = [setting for setting in run.settings if setting not in archive.folders]
            made = create_folders(run.output_dir, new, data_sha256) if new else []
            archive.lock(made)
            archive.folders |= {folder.setting: folder for folder in made}
            missing = set(archive.take_stock(run.members) if choose else run.members)
            numbers = [n for n, member in enumerate(run.members) if member in missing]
            first.append(archive)
            folders = [archive.folders[setting].id for setting in run.settings]
            return {"folders": folders, "missing": numbers}

        decision = world.broadcast(decide)
        names = zip(decision["folders"], run.settings, strict=True)
        folders = [Folder(run.output_dir / name, setting) for name, setting in names]
        archive = first[0] if first else cls(folders, sitting, compiles)
        missing = [run.members[number] for number in decision["missing"]]
        archive.complete = set(run.members) - set(missing)
        return archive, missing

    def lock(self, folders: Sequence[Folder]) -> None:
        """Keep other runs out of the folders until this process ends."""
        for folder in folders if fcntl else ():
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
            halfway, foreign = 0, set()
            uncounted = sum(self.lacks_ledger(member) for member in left)
            for member in left:
                checkpoint = read_checkpoint(folder, member.model)
                if checkpoint and checkpoint.step:
                    differences = self.differences(checkpoint, member)
                    halfway += not differences
                    foreign.update(differences)
            log(
                f"{folder.id}: {len(complete)} of {len(complete + left)} networks are complete, "
                f"{halfway} go on from a checkpoint, {len(left) - halfway} start afresh"
                + f" (checkpoints are of another {', '.join(sorted(foreign))})" * bool(foreign)
                + f" ({uncounted} of them anew, since not all was counted that is asked for)"
                * bool(uncounted)
            )
            missing += left
        return missing

    def sitting_of(self, member: Member) -> dict:
        """What this run is to one network."""
        if self.compiles is None:
            return self.sitting
        compiled = {"compiled": self.compiles(member.setting)}
        return self.sitting | {"rounding": self.sitting["rounding"] | compiled}

    def differences(self, checkpoint: Checkpoint, member: Member) -> list[str]:
        """Names of what would round otherwise now than in any run that trained the network.

        And of the ledger, if more of it is asked for than was ledger_level from the start.
        """
        now = self.sitting_of(member)["rounding"]
        names = [
            name
            for name, value in now.items()
            if any(sitting["rounding"].get(name) != value for sitting in checkpoint.sittings)
        ]
        less = any(sitting.get("ledger", 0) < self.ledger_level for sitting in checkpoint.sittings)
        return [*names, "ledger"] if less else names

    def is_complete(self, member: Member) -> bool:
        try:
            self.record(member)
        except IncompleteFileError:
            return False
        return True

    def lacks_ledger(self, member: Member) -> bool:
        """Whether a network is complete but for what is asked for of what it has cost."""
        if not self.ledger_level:
            return False
        try:
            check_complete(self.folders[member.setting], member.model)
        except IncompleteFileError:
            return False
        return True

    def record(self, member: Member) -> Record:
        """The record of a complete network; raises IncompleteFileError otherwise."""
        return check_complete(self.folders[member.setting], member.model, self.ledger_level)

    def ledger(self, member: Member) -> LedgerRecord | None:
        """What a complete network has cost; None if it was not counted, or cannot be read."""
        try:
            return read_ledger(self.folders[member.setting], member.model)
        except IncompleteFileError:
            return None

    def save(self, result: Result, earlier: Sequence[dict]) -> None:
        """Write a network's files; raises RecordError if that fails.

        earlier: the sittings before this one, if it went on from a checkpoint.
        """
        folder = self.folders[result.member.setting]
        about = self.sitting["provenance"] | {"earlier_sittings": list(earlier)}
        write_result(folder, result, about)
        remove_checkpoint(folder, result.member.model)
        self.complete.add(result.member)

    def has_intermediates(self, member: Member) -> bool:
        try:
            read_intermediates(self.folders[member.setting], member.model)
        except IncompleteFileError:
            return False
        return True

    def save_checkpoint(self, member: Member, checkpoint: Checkpoint) -> None:
        write_checkpoint(self.folders[member.setting], member.model, checkpoint)

    def checkpoint(self, member: Member) -> Checkpoint | None:
        """The checkpoint that a network can go on from, if it has one."""
        checkpoint = read_checkpoint(self.folders[member.setting], member.model)
        if checkpoint is None or not checkpoint.step or self.differences(checkpoint, member):
            return None
        return checkpoint

    def step_of(self, member: Member) -> int:
        """The step that a network goes on from, 0 without a checkpoint."""
        checkpoint = self.checkpoint(member)
        return checkpoint.step if checkpoint else 0

    def saved(self, members: Sequence[Member], alone: bool) -> str:
        """What a stopped run leaves, in words; folders that hold nothing are removed.

        alone: whether this process is the only one of the run. Otherwise the folders stay, since
        others may be about to write into them. A network is known to be complete, or looked up by
        its JSON, which comes last: nothing is read, unless a ledger is asked for that it may lack.
        """
        complete = halfway = 0
        for member in members:
            folder = self.folders[member.setting]
            there = folder.json(member.model).exists()
            if member in self.complete or (
                self.is_complete(member) if self.ledger_level else there
            ):
                complete += 1
            else:
                halfway += self.step_of(member) > 0
        if complete + halfway == 0:
            if alone:
                self.discard_empty()
            return "nothing was trained yet"
        return (
            f"of {len(members)} networks {complete} are complete and {halfway} have a checkpoint; "
            "the same command with --resume goes on"
        )

    def discard_empty(self) -> None:
        """Remove the folders that hold nothing."""
        for folder in self.folders.values():
            discard(folder)
