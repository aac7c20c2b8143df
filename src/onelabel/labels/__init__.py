"""What is known about which image: the table, the readers, the simulation of partial labels, splits."""

from onelabel.labels.counts import Counts
from onelabel.labels.describe import describe, summarise
from onelabel.labels.readers import Loaded, ReadOptions, load_labels, save_labels
from onelabel.labels.simulate import observe, simulate_single_positives
from onelabel.labels.split import group_split, random_split, released_split
from onelabel.labels.table import ClassInfo, LabelTable

__all__ = [
    "ClassInfo",
    "Counts",
    "LabelTable",
    "Loaded",
    "ReadOptions",
    "describe",
    "group_split",
    "load_labels",
    "observe",
    "random_split",
    "released_split",
    "save_labels",
    "simulate_single_positives",
    "summarise",
]
