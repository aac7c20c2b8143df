"""The list of recipes with what was published, and what is not known of them."""

from __future__ import annotations

from collections.abc import Sequence

from onelabel.recipes.catalogue import DATA_SETS, Recipe, backbones, load_recipe, methods_of
from onelabel.recipes.published import UNCLEAR, find

_NONE = "no published number"


def listing(names: Sequence[str] = ()) -> str:
    """Return the recipes by data set, with published numbers, and below what is not known of which.

    Args:
        names: data sets, or recipes of which all is to be said; none for everything.

    Raises:
        OneLabelError: a name that is none.
    """
    if names and all("/" in name for name in names):
        return "\n\n".join(_in_full(load_recipe(name)) for name in names)
    blocks: list[str] = []
    said: dict[str, int] = {}
    for data_set in names or DATA_SETS:
        lines = [data_set]
        for method in methods_of(data_set):
            recipe = load_recipe(f"{data_set}/{method}")
            for text in recipe.cautions:
                said.setdefault(text, len(said) + 1)
            lines.append(_line(recipe, [said[text] for text in recipe.cautions]))
        blocks.append("\n".join(lines))
    notes = "\n".join(f"({number}) {text}" for text, number in said.items())
    variants = "with another network, as DATA_SET/METHOD/BACKBONE:\n  " + "\n  ".join(backbones())
    return "\n\n".join([*blocks, variants, notes])


def _line(recipe: Recipe, notes: Sequence[int]) -> str:
    marks = " ".join(f"({number})" for number in notes)
    return f"  {recipe.name:<28}{_published(recipe):<52}{marks}".rstrip()


def _published(recipe: Recipe) -> str:
    found = find(recipe.data_set, recipe.method, recipe.setting)
    if not found and recipe.data_set.startswith("nus-"):
        unclear = find(UNCLEAR, recipe.method, recipe.setting)
        return "; ".join(f"{each.text} {each.source}, list not named" for each in unclear) or _NONE
    return "; ".join(f"{each.text} {each.source}" for each in found) or _NONE


def _in_full(recipe: Recipe) -> str:
    """Return everything that a recipe says."""
    import yaml

    options = {"train": recipe.train, "embed": recipe.embed, "simulate": recipe.simulate}
    settings = yaml.safe_dump({k: dict(v) for k, v in options.items() if v}, allow_unicode=True)
    head = [recipe.name, recipe.paper, f"published: {_published(recipe)}", *recipe.cautions]
    return "\n".join([*head, "", settings.rstrip()])
