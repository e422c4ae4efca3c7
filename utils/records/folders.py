"""The folder of each setting, `<time stamp>-<task>-<field>-<lr>-var-...`, and its files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from utils.errors import RecordError, UserError
from utils.records.files import is_abandoned, partial_name, write_json
from utils.records.setting_json import to_json, with_newer
from utils.records.tensor_names import layer_number
from utils.settings import Member, Setting

FALLBACK_NAME_MAX = 255  # bytes, if the system does not report its limit


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
        """The JSON file of the setting, by which a run finds the folder again."""
        return self.path / f"{self.id}.settings"

    def model_of(self, path: Path) -> int | None:
        """Return the number of the network to which a file belongs; None if to no network."""
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
    """Return all that decides the result of a network, ready for JSON."""
    return to_json(setting) | {"data_sha256": data_sha256}


def check_names(output_dir: Path, members: Sequence[Member]) -> None:
    """Raise UserError if a file name of these simulations is too long for the file system."""
    limit, last = name_max(output_dir), max(member.model for member in members)
    for setting in dict.fromkeys(member.setting for member in members):
        folder = Folder(output_dir / f"{'0' * 14}-{setting.slug}", setting)
        layer = layer_number(len(setting.layers))
        files = (folder.intermediate(last, "intensity", layer), folder.checkpoint(last))
        names = (partial_name(folder.id), *(file.name for file in files))
        excess = max(len(os.fsencode(name)) for name in names) - limit
        if excess > 0:
            name, text = max(setting.name_parts.items(), key=lambda part: len(part[1]))
            inside = any(device.measured for device in setting.fields) and name == "field"
            raise UserError(
                f"--{name}: names of files in {output_dir} would be {excess} bytes longer than the "
                f"{limit} that its file system takes; shorten {text.lstrip('-')}"
                + ', which is the "name" in the device file'
                * inside
            )


def name_max(folder: Path) -> int:
    """Return the longest file name, in bytes, in a folder that need not exist yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        return os.pathconf(existing, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):  # Windows cannot be asked
        return FALLBACK_NAME_MAX


def create_folders(output_dir: Path, settings: Sequence[Setting], data_sha256: str) -> list[Folder]:
    """Make a new folder for each setting, with one time stamp if names differ.

    Settings of equal name, which may differ in flags that names leave out, as layers, get time
    stamps a second apart. A folder appears together with its settings, or not at all, and never in
    place of another, so two runs never share one: the later run takes the next second. Raises
    RecordError if folders cannot be made; then none is left.
    """
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot make {output_dir}: {error.strerror}") from None
    while True:
        now, alike, folders = time.time(), Counter(), []
        made_at = datetime.fromtimestamp(now, timezone.utc).isoformat()
        for setting in settings:
            stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(now + alike[setting.slug]))
            folders.append(Folder(output_dir / f"{stamp}-{setting.slug}", setting))
            alike[setting.slug] += 1
        made: list[Folder] = []
        try:
            for folder in folders:
                make_folder(folder, identity(folder.setting, data_sha256) | {"created": made_at})
                made.append(folder)
            return folders
        except BaseException as error:
            for folder in made:
                discard(folder)
            if isinstance(error, OSError) and error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                time.sleep(0.1)
            elif isinstance(error, OSError):
                raise RecordError(
                    f"cannot make folders in {output_dir}: {error.strerror}"
                ) from None
            else:
                raise


def make_folder(folder: Folder, settings: dict) -> None:
    """Make a hidden folder and rename it; raises OSError if the name is taken."""
    hidden = folder.path.with_name(partial_name(folder.id))
    hidden.mkdir()
    try:
        write_json(hidden / folder.settings.name, settings)
        hidden.rename(folder.path)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def clear_away(output_dir: Path, setting: Setting) -> None:
    """Remove folders that `make_folder` has not finished, unless its process may still run."""
    for hidden in output_dir.glob(f".*-{setting.slug}.*.tmp"):
        with suppress(OSError, ValueError):
            if is_abandoned(hidden):
                shutil.rmtree(hidden)


def discard(folder: Folder) -> None:
    """Remove a folder if it holds no results."""
    with suppress(OSError):
        if {path.name for path in folder.path.iterdir()} <= {folder.settings.name}:
            folder.settings.unlink(missing_ok=True)
            folder.path.rmdir()


def matching_folders(output_dir: Path, setting: Setting, data_sha256: str) -> list[Folder]:
    """Return the folders in which exactly this setting is simulated, oldest first."""
    wanted = identity(setting, data_sha256)
    paths = sorted(output_dir.glob(f"*-{setting.slug}"), key=by_age)
    folders = (Folder(path, setting) for path in paths)
    return [folder for folder in folders if read_identity(folder) == wanted]


def read_identity(folder: Folder) -> dict | None:
    """Return the identity in a folder's settings file, None if it cannot be read."""
    try:
        content = with_newer(json.loads(folder.settings.read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    content.pop("created", None)
    return content


def created(path: Path) -> float:
    """Return when a folder was made, in seconds since 1970, by its settings file, in UTC.

    For older folders, which do not record it, this is the local time in the name; otherwise 0.
    """
    try:
        content = json.loads((path / f"{path.name}.settings").read_text())
        return datetime.fromisoformat(content["created"]).timestamp()
    except (OSError, ValueError, TypeError, KeyError):
        pass
    try:
        return time.mktime(time.strptime(path.name.partition("-")[0], "%Y%m%d%H%M%S"))
    except (ValueError, OverflowError):
        return 0.0


def by_age(path: Path) -> tuple[float, str]:
    """Return the key by which folders are sorted: the time when they were made, then the name."""
    return created(path), path.name
