"""The kinds of dictionaries, activation functions and normalisations; no torch is needed to read them."""

from typing import Literal

Kind = Literal["sae", "transcoder", "clt", "crosscoder"]

Activation = Literal["relu", "topk", "batchtopk", "jumprelu"]

Normalisation = Literal["layer_norm", "unit_norm"]
"""What is done to every token before it is read, and undone behind; see `normalisation.py`."""
