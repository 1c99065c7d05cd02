"""Sources of records: files, folders of part files, databases, behind one small protocol."""

from fedsynth_client.sources.database import DatabaseSource
from fedsynth_client.sources.description import open_source
from fedsynth_client.sources.files import FileSource, FolderSource
from fedsynth_client.sources.source import FrameSource, Source, WithoutColumns

__all__ = [
    "DatabaseSource",
    "FileSource",
    "FolderSource",
    "FrameSource",
    "Source",
    "WithoutColumns",
    "open_source",
]
