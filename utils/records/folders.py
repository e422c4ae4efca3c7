"""One folder per setting: `<time stamp>-<task>-<field>-<lr>-var-...`, and what is in it."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from utils.errors import RecordError
from utils.records.files import write_json
from utils.records.setting_json import to_json, with_newer
from utils.settings import Setting

SECONDS_TO_MAKE_A_FOLDER = 60  # at most, on the slowest disk
HOST = platform.node().partition(".")[0]  # which may share the disk with others


@dataclass(frozen=True)
class Folder:
    """The folder of a setting, and the names of the files in it."""

    path: Path
    setting: Setting

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def settings(self) -> Path:
        """What is simulated in this folder, so that a run can find it again; JSON."""
        return self.path / f"{self.id}.settings"

    def model_of(self, path: Path) -> int | None:
        """The number of the network that a file here belongs to; None if it is of none."""
        number = path.name.removeprefix(f"{self.id}-").partition(".")[0].partition("-")[0]
        return int(number) if number.isdigit() else None

    def accuracies(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}-accuracies.pth"

    def gradients(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}-gradients.pth"

    def ledger(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}-ledger.pth"

    def weights(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}.pth"

    def intermediate(self, model: int, quantity: str, layer: int) -> Path:
        """quantity: intensity or voltage; layer: its number in the state dict, 1, 4, ..."""
        return self.path / f"{self.id}-{model}-{quantity}-layer-{layer}.pth"

    def json(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}.json"

    def checkpoint(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}-checkpoint.pth"


def identity(setting: Setting, data_sha256: str) -> dict:
    """All that decides the result of a network, as JSON has it."""
    return to_json(setting) | {"data_sha256": data_sha256}


def create_folders(output_dir: Path, settings: Sequence[Setting], data_sha256: str) -> list[Folder]:
    """A new folder for each setting, all with one time stamp, but for those of one name.

    Such settings differ in what the name does not tell, as in layers: they take a second each.
    Each appears with its settings in it, or not at all, and not where there is one, so no two runs
    ever share one: whoever comes second takes the next second. Raises RecordError if folders
    cannot be made; then none is left.
    """
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot make {output_dir}: {error.strerror}") from None
    while True:
        now, alike, folders = time.time(), Counter(), []
        for each in settings:
            stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(now + alike[each.slug]))
            folders.append(Folder(output_dir / f"{stamp}-{each.slug}", each))
            alike[each.slug] += 1
        made: list[Folder] = []
        try:
            for folder in folders:
                make_folder(folder, identity(folder.setting, data_sha256))
                made.append(folder)
            return folders
        except BaseException as error:
            for folder in made:
                discard(folder)
            if isinstance(error, OSError) and error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                time.sleep(0.1)
            elif isinstance(error, OSError):
                raise RecordError(f"cannot make {folder.path}: {error.strerror}") from None
            else:
                raise


def make_folder(folder: Folder, settings: dict) -> None:
    """Make a folder out of sight and move it to its place; OSError if that is taken."""
    hidden = folder.path.with_name(f".{folder.id}.{HOST}.{os.getpid()}.tmp")
    hidden.mkdir()
    try:
        write_json(hidden / folder.settings.name, settings)
        hidden.rename(folder.path)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def clear_away(output_dir: Path, setting: Setting) -> None:
    """Remove what `make_folder` could not finish, unless it may still be at work."""
    for hidden in output_dir.glob(f".*-{setting.slug}.*.tmp"):
        with suppress(OSError):
            *_, host, process, _ = hidden.name.rsplit(".", 3)
            is_old = time.time() - hidden.stat().st_mtime > SECONDS_TO_MAKE_A_FOLDER
            if is_old or (host == HOST and not is_alive(int(process))):
                shutil.rmtree(hidden)


def is_alive(process: int) -> bool:
    """Whether this machine has a process of that number; where it does not tell, yes."""
    if os.name != "posix":  # there the call below would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def discard(folder: Folder) -> None:
    """Remove a folder that holds no results; one that does stays as it is."""
    with suppress(OSError):
        if {path.name for path in folder.path.iterdir()} <= {folder.settings.name}:
            folder.settings.unlink(missing_ok=True)
            folder.path.rmdir()


def matching_folders(output_dir: Path, setting: Setting, data_sha256: str) -> list[Folder]:
    """The folders in which exactly this setting is simulated, oldest first."""
    wanted = identity(setting, data_sha256)
    folders = (Folder(path, setting) for path in sorted(output_dir.glob(f"*-{setting.slug}")))
    return [folder for folder in folders if read_identity(folder) == wanted]


def read_identity(folder: Folder) -> dict | None:
    """What a folder says that it holds, None if it does not say."""
    try:
        return with_newer(json.loads(folder.settings.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None
