"""Images as rows of a data set for ``torch.utils.data.DataLoader``."""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from onelabel.images.decode import MAX_PIXELS, decode
from onelabel.images.transforms import Preprocess
from onelabel.io.errors import ImageError
from onelabel.io.ids import IdTable

_MARK = "image error from a loader worker: "


class ImageRows(Dataset[tuple[int, Tensor]]):
    """Row i is ``(i, tensor)``: the number of the image, and the image as float32 (3, size, size).

    Holds two arrays and no Python list, so that loader workers share their memory; it pickles, so that they
    can be spawned.

    Args:
        root: the image folder.
        ids: paths relative to it, such as :attr:`onelabel.images.folder.Resolved.paths`.
        preprocess: what the network expects.
        max_pixels: larger images are refused before decoding.

    Raises:
        ImageError: from ``[i]``, naming the file, when an image cannot be used. No other picture stands in.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> root = tempfile.mkdtemp()
        >>> Image.new("RGB", (8, 8)).save(f"{root}/a.png")
        >>> preprocess = Preprocess(4, "squash", "bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        >>> rows = ImageRows(root, IdTable.from_strings(["a.png"]), preprocess)
        >>> index, tensor = rows[0]
        >>> len(rows), index, tuple(tensor.shape)
        (1, 0, (3, 4, 4))
    """

    def __init__(
        self, root: str | Path, ids: IdTable, preprocess: Preprocess, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.root = Path(root)
        self.ids = ids
        self.preprocess = preprocess
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        try:
            return index, self.preprocess(decode(self.root / self.ids.text(index), self.max_pixels))
        except ImageError as error:
            if get_worker_info() is None:
                raise
            raise _WorkerImageError(_MARK + json.dumps([error.path, error.problem])) from None


class _WorkerImageError(ImageError):
    """An ImageError that survives a loader worker with its one-line message.

    torch rebuilds a worker's exception as ``type(text)``, where the text is the printed traceback. The note
    is the last thing printed there, and is read back from it.
    """

    def __init__(self, text: str) -> None:
        path, problem = json.loads(text.rpartition(_MARK)[2])
        super().__init__(path, problem)
        self.add_note(_MARK + json.dumps([path, problem]))
