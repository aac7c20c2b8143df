"""``onelabel demo``."""

from __future__ import annotations

EXAMPLES = """
onelabel demo
onelabel demo --quick --out quick-demo
"""


def demo(*, out: str = "demo", quick: bool = False, overwrite: bool = False) -> None:
    """Show everything on toy scenes: what one label per image costs, and how much of it methods win back.

    Draws scenes of 16 everyday objects, hides all labels but one per training scene, and trains with all
    labels, AN (unknown is absent), EM, VLPL and AEVLP. Needs no network and no GPU; about three minutes on 2
    cores.

    Args:
        out: folder for scenes, labels, models and pictures.
        quick: fewer scenes and runs, in about half a minute: to see it work, too few to compare methods.
        overwrite: replace the folder if an earlier demo made it.
    """
    from onelabel.demo.plan import FULL, QUICK
    from onelabel.demo.show import show

    show(out, QUICK if quick else FULL, overwrite=overwrite)
