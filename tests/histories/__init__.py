"""Random histories: several actors, faults and hand-made changes on AWS, against a small model of what ought to be."""
