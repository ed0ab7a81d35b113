"""What a training is told: one flat, frozen dataclass, read from YAML or the command line."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from rwejax.bounds import Amount, Bounds, Count, Margin, Seed, Share, Size, check_bounds
from rwejax.config import RunConfig, check_figure_format
from rwejax.errors import InputError
from rwejax.objectives import COSTS


@dataclasses.dataclass(frozen=True)
class TrainConfig(RunConfig):
    """Which network is trained, on which images, and how. The defaults are those of a small training.

    NSGA-Net's and DARTS' protocol, 600 epochs with an auxiliary head, drop-path and cutout, is
    configs/train_cifar10_papers.yaml.

    Attributes:
        space: macro, micro, darts, nasbench201 or nasbench_macro, or FILE.py:CLASS, a space of your own.
        architecture: text form of the network, as a search writes it.
        nodes: macro: nodes of a phase; None: 4.
        layers: micro, darts: cells of the network; None: 5.
        cells: nasbench201: cells of a stage; None: 1.
        channels: channels of the first maps; None: as in a search, or as macs_limit says.
        stem: cifar, or imagenet for images of 224 x 224: three convolutions of stride 2 come before the cells of micro
            and darts or the phases of macro, and images are streamed from the disk, cropped and resized at random.
        macs_limit: the most multiply-adds, such as 600M, which choose the channels; None: no limit.
        dataset: digits (embedded), folder:PATH (one folder of images a class, perhaps below train, val and test),
            csv:FILE (columns path and label), hf:PATH (saved by Hugging Face's datasets), any image classification set
            of TensorFlow Datasets, such as cifar10, or FILE.py:NAME, a source of your own.
        data_dir: folder of the prepared TensorFlow Datasets; None: TFDS_DATA_DIR, or else TFDS's own default.
        image_size: height and width to resize to, in pixels; None: as they are (digits 16, imagenet 224).
        train_images: images to train on; None: all that are left.
        validation_images: images to validate on after each epoch; None: a tenth, or all of a split of their own.
        epochs: passes over the train images.
        batch_size: images of a step; all train images if there are fewer.
        learning_rate: at the start of a cosine that ends at 0.
        momentum: of stochastic gradient descent.
        weight_decay: share of each weight that is added to its gradient.
        grad_clip: largest norm of a gradient; 0: any.
        label_smoothing: share of the target that is spread over all classes.
        crop_padding: pixels by which an image is shifted at most, along both axes; None: an eighth of its size.
        flip: whether half of the images are mirrored; None: unless all train images are grey, as scans of digits are.
        cutout: height and width of the square that is blanked in each image, in pixels; 0: none.
        auxiliary: weight of the auxiliary head's loss, in micro and darts; 0: no such head.
        drop_path: probability with which a branch of a cell is left out at the end of the training, to which it rises
            from 0, in micro and darts.
        seed: draws the images, the weights, their order and how they are changed.
        run_dir: folder for the results, missing or empty; None: runs/train-SPACE-DATASET-TIME.
        figure_format: png, or svg, of vectors.
    """

    renamed: ClassVar[Mapping[str, str]] = {"clipping": "grad_clip", "crop": "crop_padding", "mirror": "flip"}

    space: str = "macro"
    architecture: str = ""
    nodes: Size | None = None
    layers: Size | None = None
    cells: Size | None = None
    channels: Size | None = None
    stem: str = "cifar"
    macs_limit: str | None = None
    dataset: str = "digits"
    data_dir: Path | None = None
    image_size: Size | None = None
    train_images: Count | None = None
    validation_images: Count | None = None
    epochs: Annotated[int, Bounds(1, 10**6)] = 30
    batch_size: Annotated[int, Bounds(1, 10**6)] = 64
    learning_rate: Amount = 0.05
    momentum: Share = 0.9
    weight_decay: Amount = 3e-4
    grad_clip: Amount = 5.0
    label_smoothing: Share = 0.0
    crop_padding: Margin | None = None
    flip: bool | None = None
    cutout: Margin = 0
    auxiliary: Amount = 0.0
    drop_path: Share = 0.0
    seed: Seed = 0
    run_dir: Path | None = None
    figure_format: str = "png"

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the network, as options of the space."""
        from rwejax.spaces import sizes_of  # which starts JAX

        return sizes_of(self)

    def validate(self) -> None:
        """Refuse what cannot be trained with. What only a space or a dataset can judge, these refuse themselves.

        Raises:
            InputError: a field is out of its range.
        """
        if not self.architecture:
            raise InputError("no architecture is named: give --run RUN of a search, or --architecture TEXT")
        from rwejax.spaces.stems import STEMS  # which starts JAX

        if self.stem not in STEMS:
            raise InputError(f"stem {self.stem!r} is unknown: choose one of {', '.join(STEMS)}")
        check_bounds(self)
        check_figure_format(self.figure_format)
        if self.stem == "imagenet":
            for name in ("train_images", "validation_images", "crop_padding"):
                if (value := getattr(self, name)) is not None:
                    raise InputError(
                        f"{name} is {value}: with --stem imagenet images are read and cropped as "
                        "they come; leave it out"
                    )
        if self.macs_limit is not None:
            if self.channels is not None:
                raise InputError(f"macs_limit {self.macs_limit!r} chooses the channels: leave --channels out")
            COSTS["macs"].parse(self.macs_limit)
