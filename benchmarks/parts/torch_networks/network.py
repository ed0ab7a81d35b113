"""What every network has: statistics taken from calibration images, and a form with folded normalisation."""

import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Network(nn.Module):
    """One genome's network, from images to pooled features."""

    @torch.inference_mode()
    def calibrate(self, images: Tensor) -> None:
        """Take the normalisation statistics of these images, layer by layer, as constants."""

        def take(norm: nn.BatchNorm2d, arguments: tuple[Tensor]) -> None:
            norm.running_var, norm.running_mean = torch.var_mean(arguments[0], (0, 2, 3), correction=0)

        norms = [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        hooks = [norm.register_forward_pre_hook(take) for norm in norms]
        self(images)
        for hook in hooks:
            hook.remove()

    def fused(self) -> Self:
        """A copy with normalisation folded into a convolution before it; only rounding changes in the features."""
        network = copy.deepcopy(self)
        for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
            for i in reversed(range(1, len(layers))):
                convolution, norm = layers[i - 1], layers[i]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    layers[i - 1] = fuse_conv_bn_eval(convolution, norm)
                    del layers[i]
        return network.to(memory_format=torch.channels_last)
