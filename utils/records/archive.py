"""The archive writes and reads the files of the networks of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from utils.records.checkpoints import (
    Checkpoint,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)
from utils.records.folders import Folder
from utils.records.ledgers import LedgerRecord, read_ledger
from utils.records.results import (
    IncompleteFileError,
    Record,
    Result,
    check_complete,
    read_intermediates,
    write_result,
)
from utils.records.session import Session
from utils.settings import Member, Setting


@dataclass(frozen=True)
class Archive:
    """The places of the files of all networks of this session.

    folders, sessions: one for each setting; complete: networks that are known to be complete;
    locks: open files that keep other runs out of the folders.
    """

    folders: Mapping[Setting, Folder]
    sessions: Mapping[Setting, Session]
    complete: set[Member] = field(default_factory=set)
    locks: Sequence[IO] = ()

    def record(self, member: Member) -> Record:
        """Return a network's record; raises IncompleteFileError if the network is not complete."""
        ledger = self.sessions[member.setting].ledger
        return check_complete(self.folders[member.setting], member.model, ledger)

    def is_complete(self, member: Member) -> bool:
        try:
            self.record(member)
        except IncompleteFileError:
            return False
        return True

    def ledger(self, member: Member) -> LedgerRecord | None:
        """Return the ledger of a complete network; None if there is none or it cannot be read."""
        try:
            return read_ledger(self.folders[member.setting], member.model)
        except IncompleteFileError:
            return None

    def save(self, result: Result, earlier: Sequence[Session]) -> None:
        """Write a network's files; raises RecordError if that fails.

        earlier: the sessions before this one if the network was resumed from a checkpoint.
        """
        member, sessions = result.member, [session.to_json() for session in earlier]
        folder, session = self.folders[member.setting], self.sessions[member.setting]
        write_result(folder, result, {**session.provenance, "earlier_sessions": sessions})
        remove_checkpoint(folder, member.model)
        self.complete.add(member)

    def has_intermediates(self, member: Member) -> bool:
        try:
            read_intermediates(self.folders[member.setting], member.model)
        except IncompleteFileError:
            return False
        return True

    def save_checkpoint(self, member: Member, checkpoint: Checkpoint) -> None:
        write_checkpoint(self.folders[member.setting], member.model, checkpoint)

    def checkpoint(self, member: Member) -> Checkpoint | None:
        """Return the checkpoint from which this session can resume a network, None without one."""
        checkpoint = read_checkpoint(self.folders[member.setting], member.model)
        if checkpoint is None or not checkpoint.step:
            return None
        differences = self.sessions[member.setting].differences(checkpoint.sessions)
        return None if differences else checkpoint
