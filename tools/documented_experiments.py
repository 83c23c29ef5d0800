"""The experiments of docs/results.md in the order of the reports.

Only what no spec says: names of reports, commands of figures, the variant that was measured, and
why something was not run. Everything else on the page is read from specs and reference results.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A picture on the page, made from the results of its spec.

    Attributes:
        file: its name in docs/pictures/.
        figure: what follows `runner plot experiments/SPEC.yaml` to draw it.
        caption: what it shows, and what is seen on it.
        ships: whether the reference has all that it is drawn from; arrays of analyses do not ship.
    """

    file: str
    figure: str
    caption: str
    ships: bool = False


@dataclass(frozen=True)
class Documented:
    """One spec of experiments/ on the page.

    Attributes:
        title: what it is about, in a few words.
        spec: its file's name, without ending.
        reports: the experiments that it holds, as `R1.1`; none for the project's own.
        figures: what follows `runner plot experiments/SPEC.yaml` for each figure.
        pictures: figures that are shown.
        commands: other commands that make something of it, whole.
        profile: of the variant that was measured, or None.
        sets: settings of that variant.
        more: of further measured variants, a setting each; their tables stand below.
        why: what kept it from being run as a whole; not shown once it was.
        note: what a reader of the table must know besides.
    """

    title: str
    spec: str
    reports: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    commands: tuple[str, ...] = ()
    profile: str | None = None
    sets: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    why: str = ""
    note: str = ""


NOT_THE_FACES = (
    "The report's photographs of faces are not public. The stand-in is ours: 40 photographs each of"
    " twelve classes of Caltech-101. What was published is of other images."
)
CONVOLUTIONAL_PART = (
    "Only the convolutional part begins with ImageNet weights; the three linear layers are freshly"
    " drawn."
)
WHOLE_WEIGHTS = "it needs torchvision's ImageNet weights of the whole network"
IN_TF32 = "in fp32, a step takes more than three times as long on the same GPU"
SETTING = (
    "setting --x dropout --at last --metric train_eval_accuracy --metric val_accuracy"
    " --metric 'train_eval_accuracy - val_accuracy'"
)
TWO_RATES = "--only lr=0.005 --only lr=0.05 --only epochs=20 --only epochs=30"
"""The rows 0.005 and 0.05 with 30 epochs, of which curves were published."""

EXPERIMENTS: tuple[Documented, ...] = (
    Documented("Quickstart", "quickstart", figures=("",)),
    Documented(
        "Learning rates from scratch",
        "alexnet_lr_grid",
        ("R1.1",),
        (f"loss --per step {TWO_RATES}", f"accuracy {TWO_RATES}"),
        more=("seed=1", "seed=2"),
        why="needs the images of Caltech-101 and a GPU",
    ),
    Documented(
        "Learning rates from ImageNet weights",
        "alexnet_transfer_lr",
        ("R1.2",),
        profile="features",
        why=WHOLE_WEIGHTS,
        note=CONVOLUTIONAL_PART,
    ),
    Documented(
        "Freeze policies",
        "alexnet_transfer",
        ("R1.3",),
        why="needs torchvision's ImageNet weights of the whole network",
    ),
    Documented(
        "Freeze policies, with weights of the convolutional part alone",
        "alexnet_transfer_features",
        ("R1.3",),
        ("curves --only 'freeze convolutional layers'",),
        why="the two rows that train convolutions take hours on two CPU cores",
    ),
    Documented(
        "Augmentation of Caltech-101",
        "alexnet_augmentation",
        ("R1.4",),
        ("augmentations",),
        profile="features",
        why=WHOLE_WEIGHTS,
        note=CONVOLUTIONAL_PART,
    ),
    Documented(
        "Other networks",
        "networks",
        ("R1.5",),
        why="needs torchvision's ImageNet weights of whole networks and a GPU",
    ),
    Documented(
        "A five-block network on CIFAR-10",
        "convnet_cifar10",
        ("R2.1",),
        pictures=(
            Picture(
                "convnet_cifar10-curves.png",
                "curves",
                "Loss and accuracy with and without batch normalisation.",
                ships=True,
            ),
            Picture(
                "convnet_cifar10-filters.png",
                "filters --only 'with batch normalisation'",
                "R2.1c: the 128 filters of the first layer before and after training, under one"
                " scale: most gain contrast; 3×3 pixels are too few for shapes.",
            ),
        ),
        sets=("precision=tf32",),
        why=IN_TF32,
    ),
    Documented(
        "Early stopping",
        "early_stopping",
        ("R2.2",),
        pictures=(
            Picture(
                "early_stopping-curves.png",
                "curves",
                "Loss and accuracy; a dotted line marks the best epoch. The loss is best within"
                " five epochs, the accuracy with batch normalisation only after 24.",
                ships=True,
            ),
        ),
        sets=("precision=tf32",),
        why=IN_TF32,
    ),
    Documented(
        "Augmentation of CIFAR-10",
        "cifar10_augmentation",
        ("R2.3",),
        ("curves", "augmentations"),
        sets=("precision=tf32",),
        why=IN_TF32,
    ),
    Documented(
        "Dropout",
        "dropout",
        ("R2.4",),
        pictures=(
            Picture(
                "dropout-setting.png",
                SETTING,
                "Accuracy of the last epoch by dropout: the gap closes as dropout grows; validation"
                " is best at 0.3.",
                ships=True,
            ),
        ),
        sets=("precision=tf32",),
        why=IN_TF32,
    ),
    Documented(
        "VGG11 with batch normalisation",
        "vgg",
        ("R2.5",),
        sets=("precision=tf32",),
        why="rows a and b1 need torchvision's ImageNet weights",
    ),
    Documented(
        "From a plain network to ResNet on CIFAR-100",
        "cifar100",
        ("R3",),
        why="needs the images of CIFAR-100, ImageNet weights of ResNet-18 and a GPU",
    ),
    Documented(
        "A small network on eleven classes",
        "eleven_classes",
        ("R4.1", "R4.2", "R4.5"),
        ("curves",),
        why="needs the images of Caltech-101",
    ),
    Documented(
        "Robustness",
        "robustness",
        ("R4.6",),
        pictures=(
            Picture(
                "robustness-severity.png",
                "severity",
                "Accuracy on changed validation images by the strength of the change: blur does"
                " least harm, a warped or moved image most.",
                ships=True,
            ),
        ),
        why="needs the images of Caltech-101",
    ),
    Documented(
        "Receptive field",
        "receptive_field",
        ("R4.7",),
        commands=("runner inspect sizes experiments/receptive_field.yaml",),
        why="needs the images of Caltech-101",
    ),
    Documented(
        "Regularisation", "regularisation", ("R4.3",), why="needs the images of Caltech-101"
    ),
    Documented("Architecture", "architecture", ("R4.4",), why="needs the images of Caltech-101"),
    Documented(
        "Faces, a plain network",
        "faces_plain",
        ("R5.1", "R5.3"),
        ("curves",),
        (
            Picture(
                "faces_plain-neurons.png",
                "neurons",
                "R5.3: weights of twelve of the 300 hidden neurons, summed over the colours. Most"
                " of what is seen is the noise that they began with.",
            ),
        ),
        why="needs the images of Caltech-101",
        note=NOT_THE_FACES,
    ),
    Documented(
        "Faces, AlexNet as a feature extractor and fine-tuned",
        "faces_alexnet",
        ("R5.2", "R5.4", "R5.5"),
        ("curves --only fine-tuned",),
        why="needs torchvision's ImageNet weights of the whole network",
        note=NOT_THE_FACES,
    ),
    Documented(
        "Faces, AlexNet with weights of the convolutional part alone",
        "faces_alexnet_features",
        ("R5.2", "R5.4", "R5.5"),
        pictures=(
            Picture(
                "faces_alexnet_features-curves.png",
                "curves",
                "R5.4: AlexNet fine-tuned end to end; best after five epochs, then it overfits.",
                ships=True,
            ),
            Picture(
                "faces_alexnet_features-wrong.png",
                "predictions",
                "R5.4: the test images that the fine-tuned AlexNet gets wrong most confidently,"
                " with the class that it names and the one that is right.",
            ),
            Picture(
                "faces_alexnet_features-right.png",
                "predictions",
                "R5.4: those that it gets right most confidently.",
            ),
            Picture(
                "faces_alexnet_features-confusion.png",
                "predictions",
                "R5.4: which classes it takes for one another.",
            ),
            Picture(
                "faces_alexnet_features-guided.png",
                "guided",
                "R5.5: guided backpropagation of the predicted class of one test image, brightest"
                " at the eyes, the nose and the whiskers.",
            ),
        ),
        why="takes ten minutes on two CPU cores",
        note=NOT_THE_FACES,
    ),
    Documented(
        "Corruptions of CIFAR-10",
        "corruptions",
        pictures=(
            Picture(
                "corruptions_severities.png",
                "severities",
                "Accuracy by severity of each corruption, generated, with one seed. Where training"
                " images were mirrored and shifted, blur and fog hurt less, noise and glass more.",
                ships=True,
            ),
        ),
        profile="subset",
        why="it takes hours without a GPU",
        note="The corrupted images are generated by the published definitions. They are not the"
        " official files of CIFAR-10-C, and the frost is ours; numbers on both may differ.",
    ),
    Documented(
        "Small networks on Fashion-MNIST",
        "fashion_mnist",
        pictures=(
            Picture(
                "fashion_mnist-curves.png",
                "curves",
                "Loss and accuracy of the three networks: convolutions learn faster, and end above"
                " fully connected layers.",
                ships=True,
            ),
        ),
        why="needs the files of Fashion-MNIST",
    ),
    Documented("Patience and schedules", "patience", figures=("curves",)),
)
