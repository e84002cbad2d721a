"""What a step of training spends its time in: choosing latents, sparse products, and JumpReLU's gradient."""

from mindscope.dictionaries.training.kernels.choices import (
    Choice,
    PositivePart,
    TopOfBatch,
    TopOfTokens,
    top_of_rows,
    top_of_slices,
)
from mindscope.dictionaries.training.kernels.jumprelu import jumprelu
from mindscope.dictionaries.training.kernels.sparse_products import decode, encode

__all__ = [
    "encode",
    "decode",
    "Choice",
    "TopOfTokens",
    "TopOfBatch",
    "PositivePart",
    "top_of_rows",
    "top_of_slices",
    "jumprelu",
]
