"""Archives of runs, without a run."""

from utils.records.archive import Archive
from utils.records.folders import Folder
from utils.records.session import Session


def archive_of(*folders: Folder, **rounding) -> Archive:
    """Return the archive of a run in these folders, whose session rounds as is given."""
    settings = [folder.setting for folder in folders]
    sessions = dict.fromkeys(settings, Session({}, rounding))
    return Archive(dict(zip(settings, folders, strict=True)), sessions)
