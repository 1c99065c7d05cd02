"""Sources of records: files, folders of part files, databases, behind one small protocol."""

from fedsynth_client.records.sources.database import DatabaseSource
from fedsynth_client.records.sources.description import open_source
from fedsynth_client.records.sources.files import FileSource, FolderSource
from fedsynth_client.records.sources.source import FrameSource, Source, WithoutColumns

__all__ = [
    "DatabaseSource",
    "FileSource",
    "FolderSource",
    "FrameSource",
    "Source",
    "WithoutColumns",
    "open_source",
]
