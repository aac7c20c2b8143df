"""Label files in and out: one file per format."""

from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.registry import READERS, find_reader, load_labels
from onelabel.labels.readers.save import save_labels
from onelabel.labels.readers.second import load_second

__all__ = [
    "READERS",
    "Loaded",
    "Probe",
    "ReadOptions",
    "Reader",
    "find_reader",
    "load_labels",
    "load_second",
    "save_labels",
]
