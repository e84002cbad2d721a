"""The package hands on its names, and traits without torch."""

import subprocess
import sys

from mindscope import personas


def test_every_public_name_is_there() -> None:
    for name in personas.__all__:
        assert getattr(personas, name) is not None
        assert name in dir(personas)
    assert callable(personas.extract_vectors)


def test_traits_need_no_torch() -> None:
    check = (
        "import sys; from mindscope.personas import Trait; Trait.bundled(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
