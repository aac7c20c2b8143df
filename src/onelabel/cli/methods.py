"""``onelabel methods``."""

from __future__ import annotations

EXAMPLES = """
onelabel methods
onelabel train labels.csv --method em --help
"""


def methods() -> None:
    """List the training methods: name, family, what it is, what it needs."""
    from onelabel.methods.registry import catalogue

    for info in catalogue():
        needs = f" [needs {info.needs}]" if info.needs else ""
        print(f"{info.name:<12} {info.family:<22} {info.summary}{needs}")
