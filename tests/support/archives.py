"""Archives of runs, without a run."""

from conftest import Record

from utils.records.archive import Archive
from utils.records.folders import Folder
from utils.records.session import Session
from utils.records.setting_json import from_json


def archive_of(*folders: Folder, **rounding) -> Archive:
    """Return the archive of a run in these folders, whose session rounds as is given."""
    settings = [folder.setting for folder in folders]
    sessions = dict.fromkeys(settings, Session({}, rounding))
    return Archive(dict(zip(settings, folders, strict=True)), sessions)


def folder_of(record: Record) -> Folder:
    """Return the folder of a network whose files were read."""
    return Folder(record.folder, from_json(record.json))
