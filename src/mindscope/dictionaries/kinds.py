"""The kinds of dictionaries and of activation functions; no torch is needed to read them."""

from typing import Literal

Kind = Literal["sae", "transcoder", "clt", "crosscoder"]


Activation = Literal["relu", "topk", "batchtopk", "jumprelu"]
