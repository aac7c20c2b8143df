"""What is known about which image: the table, the readers, the simulation of partial labels, splits."""

from onelabel.labels.table import ClassInfo, Counts, LabelTable

__all__ = ["ClassInfo", "Counts", "LabelTable"]
