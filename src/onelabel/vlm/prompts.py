"""From class names to one text vector a class."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import ClassInfo
from onelabel.vlm.encoder import Encoder

DEFAULT_TEMPLATES = ("a photo of a {}.",)
_PROMPTS_AT_ONCE = 256


def prompt_names(info: ClassInfo) -> tuple[str, ...]:
    """Return the names of a class for its prompts: display name, then synonyms, without underscores.

    Example:
        >>> prompt_names(ClassInfo("tv", "tv_monitor", ("television",)))
        ('tv monitor', 'television')
    """
    names = (" ".join(name.replace("_", " ").split()) for name in (info.name, *info.synonyms))
    return tuple(dict.fromkeys(name for name in names if name))


def fill(templates: Sequence[str], names: Iterable[str]) -> list[str]:
    """Put every name into every template.

    Raises:
        OneLabelError: no template is given, or one does not hold ``{}`` exactly once.

    Example:
        >>> fill(["a photo of a {}.", "a {}"], ["cat"])
        ['a photo of a cat.', 'a cat']
    """
    if not templates:
        raise OneLabelError("no prompt template is given; use for example 'a photo of a {}.'")
    for template in templates:
        if template.count("{}") != 1:
            raise OneLabelError(
                f"prompt template {template!r} must hold {{}} once, where the class name goes"
            )
    return [template.replace("{}", name) for name in names for template in templates]


def _class_prompts(classes: Sequence[ClassInfo], templates: Sequence[str]) -> list[list[str]]:
    prompts = [fill(templates, prompt_names(info)) for info in classes]
    for info, texts in zip(classes, prompts, strict=True):
        if not texts:
            raise OneLabelError(f"class {info.id!r} has a blank name, so no prompt can be made for it")
    return prompts


def text_features(
    encoder: Encoder, classes: Sequence[ClassInfo], templates: Sequence[str] = DEFAULT_TEMPLATES
) -> Tensor:
    """Return one unit text vector for each class.

    t_c = m_c / ‖m_c‖ with m_c the mean of the unit vectors of all prompts of the class: each of its
    names in each template. Averaging over templates: Radford et al., "Learning transferable visual
    models from natural language supervision", 2021, https://arxiv.org/abs/2103.00020.

    Args:
        encoder: the text tower.
        classes: the C classes, in the order of the result.
        templates: texts that hold ``{}`` once.

    Returns:
        (C, D) float32 of unit length.

    Raises:
        OneLabelError: a template is not one, or a class has no name.
    """
    vectors, counts = name_features(encoder, classes, templates)
    means = [group.mean(dim=0) for group in torch.split(vectors, list(counts))]
    return normalize(torch.stack(means), dim=1)


def name_features(
    encoder: Encoder, classes: Sequence[ClassInfo], templates: Sequence[str] = DEFAULT_TEMPLATES
) -> tuple[Tensor, tuple[int, ...]]:
    """Return one text vector for each name of each class: the mean of the unit vectors of its prompts.

    Every prompt is encoded once.

    Args:
        encoder: the text tower.
        classes: the C classes.
        templates: texts that hold ``{}`` once.

    Returns:
        (K, D) float32, not of unit length, the names of a class one after the other; and how many names each
        class has.

    Raises:
        OneLabelError: a template is not one, or a class has no name.
    """
    prompts = _class_prompts(classes, templates)
    texts = [text for group in prompts for text in group]
    chunks = [texts[i : i + _PROMPTS_AT_ONCE] for i in range(0, len(texts), _PROMPTS_AT_ONCE)]
    vectors = torch.cat([encoder.encode_texts(chunk).float().cpu() for chunk in chunks])
    means = vectors.view(-1, len(templates), vectors.shape[1]).mean(dim=1)  # a name fills all templates
    return means, tuple(len(group) // len(templates) for group in prompts)


def text_fingerprint(
    encoder: Encoder, classes: Sequence[ClassInfo], templates: Sequence[str] = DEFAULT_TEMPLATES
) -> dict[str, str]:
    """Return what guards text features: the encoder's own text fingerprint, the templates and the names."""
    names = [prompt_names(info) for info in classes]
    return {
        **encoder.text_fingerprint,
        "templates": json.dumps(list(templates), ensure_ascii=False),
        "names": json.dumps(names, ensure_ascii=False),
    }
