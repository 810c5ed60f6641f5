"""The images that a network is trained on."""

import cifar
import mnist

BY_CHANNELS = {1: mnist, 3: cifar}


def dataset(description):
    """The module of a network's images: `train_set`, `test_set`, `synthetic`, `prepared`, `Augmentation`."""
    return BY_CHANNELS[description.shape[0]]
