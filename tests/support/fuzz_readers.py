"""Readers of files that somebody else may have written, each of which is fed bytes by `fuzz_kit`."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import case_kit
import release_kit
from fuzz_seeds import tensors_of, tiny_model, workshop
from safetensors.torch import save_file


def at(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """The bytes are a file of this name."""

    def act(folder: Path, content: bytes) -> object:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return act


def headed(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """The bytes are the JSON in the header of a good artefact."""

    def act(folder: Path, content: bytes) -> object:
        text = content.decode("utf-8", "replace")
        save_file(tensors_of(name), folder / name, metadata={"mindscope": text})
        return read(folder / name)

    return act


def read_vectors(path: Path) -> object:
    from mindscope.personas import PersonaVectors

    return PersonaVectors.load(path)


def read_steering(path: Path) -> object:
    from mindscope.features import SteeringFile

    return SteeringFile.load(path)


def read_graph(path: Path) -> object:
    from mindscope.circuits import AttributionGraph

    return AttributionGraph.load(path)


def read_public_graph(path: Path) -> object:
    from mindscope.circuits import read_graph_json

    return read_graph_json(path)


def read_dictionary(path: Path) -> object:
    from mindscope.dictionaries import Dictionary

    return Dictionary.load(path)


def read_artifact(path: Path) -> object:
    from mindscope.store import load_artifact

    return load_artifact(path, schema="mindscope.persona_vectors", version=9)


def read_pt(path: Path) -> object:
    from mindscope.personas import load_pt

    return load_pt(path, tiny_model())


def read_gguf(path: Path) -> object:
    from mindscope.personas import load_gguf

    return load_gguf(path, tiny_model())


def read_gguf_steering(path: Path) -> object:
    from mindscope.features import read_gguf_file

    return read_gguf_file(path)


def read_thresholds(path: Path) -> object:
    from mindscope.monitoring import Calibration

    return Calibration.load(path)


def read_foreign(folder: Path, content: bytes) -> object:
    """The bytes are the settings of a SAELens release."""
    from mindscope.dictionaries import read_dictionary as read

    if not (folder / "sae_weights.safetensors").exists():
        release_kit.saelens("standard")(folder)
    (folder / "cfg.json").write_bytes(content)
    return read(folder)


def read_record(folder: Path, content: bytes) -> object:
    from mindscope.store import list_runs, read_run

    (folder / "run.json").write_bytes(content)
    list_runs(folder)
    info = read_run(folder)
    return info.is_made_here


def read_metrics(folder: Path, content: bytes) -> object:
    from mindscope.store import Run

    with Run.open(folder / "run", kind="fuzz", config={}) as run:
        (folder / "run" / "metrics.jsonl").write_bytes(content)
        run.log(step=1)
        return list(run.metrics())


def read_case(path: Path) -> object:
    from mindscope.jobs.library.results import summarise
    from mindscope.library import open_case

    return summarise(open_case(path))


def read_manifest(folder: Path, content: bytes) -> object:
    """The bytes are the manifest of a case with the members that it should have."""
    from mindscope.library import open_case

    with zipfile.ZipFile(folder / "a.case", "w") as archive:
        archive.writestr("case.json", content)
        for member in open_case(workshop() / "small.case").manifest.members:
            with zipfile.ZipFile(workshop() / "small.case") as good:
                archive.writestr(member.name, good.read(member.name))
    return read_case(folder / "a.case")


def read_member(name: str) -> Callable[[Path, bytes], object]:
    """The bytes are one member of a good case of a graph, which is opened with its page."""

    def act(folder: Path, content: bytes) -> object:
        import shutil

        from mindscope.jobs import SilentReporter
        from mindscope.jobs.library import OpenCaseSpec, unpack_case

        members = {"graph.safetensors": (workshop() / "graph.safetensors").read_bytes(), name: content}
        case_kit.write_small_case(folder / "a.case", members)
        shutil.rmtree(folder / "opened", ignore_errors=True)
        return unpack_case(
            OpenCaseSpec(case=folder / "a.case", to=folder / "opened"), reporter=SilentReporter()
        )

    return act


def read_index(path: Path) -> object:
    from mindscope.library import LibraryIndex

    return LibraryIndex.load(path)


def read_intervention(path: Path) -> object:
    from mindscope.jobs.circuit import InterventionRecord

    record = InterventionRecord.load(path)
    return [change.intervention() for change in record.request.changes]


def read_trait(path: Path) -> object:
    from mindscope.personas import Trait

    return Trait.load(path)


def read_policy(path: Path) -> object:
    from mindscope.gate.policy import read_policy as read

    return read(path)


def read_rows(path: Path) -> object:
    from mindscope.data import ConversationSource, DataFile

    source = ConversationSource.of(DataFile(path), refuse=False)
    return source.describe()


def read_expression(folder: Path, content: bytes) -> object:
    """Steering in one line; what is read is written and read again."""
    from mindscope.features import SteerExpression

    del folder
    expression = SteerExpression.parse(content.decode("utf-8", "replace"))
    assert SteerExpression.parse(str(expression)) == expression
    return expression
