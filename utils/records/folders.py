"""One folder per setting: `<time stamp>-<task>-<field>-<lr>-var-...`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.records.files import RecordError
from utils.settings import Setting


@dataclass(frozen=True)
class Folder:
    """The folder of a setting, and the names of the files in it."""

    path: Path
    setting: Setting

    @property
    def id(self) -> str:
        return self.path.name

    def accuracies(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}-accuracies.pth"

    def gradients(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}-gradients.pth"

    def weights(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}.pth"

    def json(self, model: int) -> Path:
        return self.path / f"{self.id}-{model}.json"


def create_folders(output_dir: Path, settings: Sequence[Setting]) -> list[Folder]:
    """A new folder for each setting, all with one time stamp.

    Making a folder is atomic and fails if it is there, so no two runs ever share one: whoever
    comes second takes the next second. Raises RecordError if folders cannot be made.
    """
    while True:
        stamp = time.strftime("%Y%m%d%H%M%S")
        made: list[Folder] = []
        try:
            output_dir.mkdir(parents=True, exist_ok=True)
            for setting in settings:
                folder = Folder(output_dir / f"{stamp}-{setting.slug}", setting)
                folder.path.mkdir()
                made.append(folder)
            return made
        except FileExistsError as error:
            for folder in made:
                folder.path.rmdir()
            if Path(error.filename) == output_dir:
                raise RecordError(f"cannot write {output_dir}: it is a file") from None
            time.sleep(0.1)
        except OSError as error:
            for folder in made:
                folder.path.rmdir()
            raise RecordError(f"cannot make {error.filename}: {error.strerror}") from None
