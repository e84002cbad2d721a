"""Files that circuit-tracer wrote, in the model they belong to: the features it found, with its values."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mindscope.dictionaries.formats import read_dictionary, write_dictionary
from mindscope.dictionaries.formats.base import ReadOptions
from mindscope.models import Model, Raw, Read, Row, load


@pytest.fixture(scope="module", params=["llama_plt", "gemma2_clt"])
def case(request: pytest.FixtureRequest, parity: Path) -> tuple[Path, Model, dict[str, np.ndarray]]:
    folder = parity / request.param
    return folder, load(str(folder / "model"), dtype="float32"), dict(np.load(folder / "expected_full.npz"))


@pytest.mark.parametrize("lazy", [False, True])
def test_active_features_and_their_errors(case, lazy: bool, tmp_path: Path):
    folder, model, expected = case
    dictionary = read_dictionary(folder / "transcoders", options=ReadOptions(model=model, lazy=lazy))
    ids = tuple(expected["input_tokens"].tolist())
    sites = [*dictionary.reads, *dictionary.writes]
    reads = {site.address: Read(site.address, Raw("all")) for site in sites}
    found = {
        address: reading.values[0] for address, reading in model.read([Row(ids, len(ids))], reads).items()
    }
    x = dictionary.join([found[site.address] for site in dictionary.reads])
    code = dictionary.encode(x)
    kept = code.tokens > 0  # circuit-tracer leaves out the features of the first token
    layers = torch.tensor([dictionary.locate(int(latent)) for latent in code.indices[kept]])
    ours = {
        (int(layer), int(position), int(row)): float(value)
        for (layer, row), position, value in zip(layers, code.tokens[kept], code.values[kept], strict=True)
    }
    theirs = dict(
        zip(map(tuple, expected["active_features"].tolist()), expected["activation_values"], strict=True)
    )
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose([ours[key] for key in theirs], list(theirs.values()), rtol=1e-4, atol=1e-5)

    written = dictionary.split(dictionary(x))
    for layer, site in enumerate(dictionary.writes):
        errors = found[site.address] - written[layer]
        np.testing.assert_allclose(errors[1:], expected["error_vectors"][layer, 1:], rtol=1e-4, atol=2e-5)

    write_dictionary(dictionary, tmp_path, "circuit_tracer", ReadOptions(model=model))
    again = read_dictionary(tmp_path, options=ReadOptions(model=model))
    assert torch.equal(again(x), dictionary(x))
    assert (again.reads, again.writes) == (dictionary.reads, dictionary.writes)
