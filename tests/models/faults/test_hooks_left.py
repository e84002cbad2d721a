"""Whatever is raised inside a forward pass, no hook stays on the model."""

import pytest
import tiny_models
import torch
from tiny_models import hooks_on

from mindscope.models import Edit, Mean, Model, Raw, Read, Sampling

SAMPLING = Sampling(max_new_tokens=9, seed=5)


@pytest.fixture(scope="module", params=["llama", "gpt2", "falcon_h1", "mamba", "llava"])
def model(request) -> Model:
    return tiny_models.build(next(family for family in tiny_models.SOUND if family.name == request.param))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_stays_hooked_after_an_exception(model, rows, error):
    before = hooks_on(model)
    vector = torch.ones(model.d_model)

    def stop(*_):
        raise error

    with pytest.raises(error):
        model.generate(
            rows,
            SAMPLING,
            edits=[Edit("resid_post.1", "add", vector)],
            reads={"r": Read("resid_post.2", Mean("answer"))},
            on_token=stop,
        )
    with pytest.raises(error), model.edited([Edit("resid_pre.1", "add", vector)]), model.edited([]):
        stop()
    broken = block_that_fails(model, error)
    with pytest.raises(error), broken:
        model.read(rows, {"r": Read("resid_post.2", Raw("all"))}, edits=[Edit("resid_post.0", "add", vector)])
    assert hooks_on(model) == before
    assert model.read(rows, {"r": Read("resid_post.2", Mean("all"))})["r"].valid.all()


class block_that_fails:  # noqa: N801 - reads as a verb where it is used
    """A hook that raises in the middle of the model, after our own hooks hang."""

    def __init__(self, model, error):
        self.module, self.error = model.engine.arch.block(1), error

    def __enter__(self):
        def fail(*_):
            raise self.error

        self.handle = self.module.register_forward_hook(fail)

    def __exit__(self, *_):
        self.handle.remove()
