"""Many methods under one budget on one data set: which is best, by how much, and whether that is noise."""
