"""Studies of trained toys at sizes that take seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mindscope.jobs import RunFolder, SilentReporter
from mindscope.studies import (
    classifiers,
    crosscoders,
    dictionary_metrics,
    double_descent,
    induction,
    monosemanticity,
    persona_space,
    scaling,
    shared_space,
    solu,
    superposition,
)
from mindscope.studies.classifiers import config as classifiers_config
from mindscope.studies.common import StudyReport, TinyConfig, TinyTraining, ToyTraining
from mindscope.studies.crosscoders import config as crosscoders_config
from mindscope.studies.dictionary_metrics import config as dictionary_metrics_config
from mindscope.studies.double_descent import config as double_descent_config
from mindscope.studies.induction import config as induction_config
from mindscope.studies.monosemanticity import config as monosemanticity_config
from mindscope.studies.persona_space import config as persona_space_config
from mindscope.studies.scaling import config as scaling_config
from mindscope.studies.shared_space import config as shared_space_config
from mindscope.studies.solu import config as solu_config
from mindscope.studies.superposition import config as superposition_config

SHORT = ToyTraining(steps=20, samples=32, learning_rate=1e-2, cosine=True)
TINY = {
    "superposition": superposition.SuperpositionConfig(
        saving_samples=200,
        seeds=2,
        set_seeds=2,
        computing_seeds=2,
        small=SHORT,
        phase=superposition_config.PhaseConfig(cells=3, starts=2, seeds=2, training=SHORT),
        geometry=superposition_config.GeometryConfig(
            features=12, hidden=4, densities=(1.0, 0.3, 0.1), seeds=2, training=SHORT
        ),
        computing=SHORT,
        computing_densities=(1.0, 0.1, 0.03, 0.01),
    ),
    "induction": induction.InductionConfig(
        models=tuple(
            kind.model_copy(update={"width": 16, "heads": 2, "context": 32, "seeds": 2})
            for kind in induction_config.KINDS
        ),
        vocabulary=32,
        corpus_tokens=2000,
        steps=8,
        every=2,
        held_rows=4,
    ),
    "double-descent": double_descent.DoubleDescentConfig(
        descent=double_descent.DescentConfig(
            features=16,
            density=0.1,
            samples=(3, 8, 32),
            seeds=2,
            steps=20,
            warmup=2,
            plane_hidden=(2, 4),
            plane_samples=(8, 32),
            repeats=(1, 8),
        ),
        planted=double_descent.PlantedConfig(
            model=TinyConfig(layers=1, mlp=True, width=16, heads=2, context=16, seeds=2),
            vocabulary=32,
            rows=32,
            planted=4,
            steps=3,
            batch=4,
        ),
    ),
    "classifiers": classifiers.ClassifiersConfig(seeds=2, train_rows=12, test_rows=10, turns=1, read_back=5),
    "crosscoders": crosscoders.CrosscodersConfig(
        seeds=2,
        latents=32,
        pair_latents=16,
        tokens=600,
        held_tokens=200,
        steps=4,
        batch_tokens=64,
        k=4,
        texts=0.05,
        tune_steps=2,
        tune_rows=2,
    ),
    "dictionaries": dictionary_metrics.DictionaryMetricsConfig(
        atoms=dictionary_metrics.AtomConfig(width=8, parents=2, children=1, singles=6),
        worlds=2,
        methods=("topk", "relu"),
        sizes=(12,),
        steps=10,
        batch_tokens=32,
        k=2,
        samples=200,
        labelled=20,
    ),
    "monosemanticity": monosemanticity.MonosemanticityConfig(
        model=TinyConfig(
            layers=1, mlp=True, activation="relu", width=8, heads=2, context=64, seeds=2, expansion=2
        ),
        training=TinyTraining(rows=4, steps=10),
        vocabulary=128,
        corpus_tokens=20_000,
        sizes=(1, 2, 4),
        focus=2,
        steps=20,
        batch_tokens=128,
        buffer_batches=4,
        l1_coefficient=0.003,
        held_rows=64,
        texts=0.05,
        ablated=4,
        ablated_rows=16,
        callers=3,
        contexts=4,
        draws=2,
    ),
    "persona-space": persona_space.PersonaSpaceConfig(
        seeds=2,
        questions=4,
        asked=2,
        pair_questions=2,
        facts=5,
        max_new_tokens=12,
        n_random=1,
        features=(1, 2),
        carriers=2,
        reader_width=2,
    ),
    "scaling": scaling.ScalingConfig(
        seeds=2,
        held_tokens=300,
        steps=12,
        batch_tokens=64,
        law_latents=(8, 16, 32),
        law_computes=(64, 128, 256),
        sizes=(16, 48),
        names=8,
        texts=0.05,
        least_texts=1,
        steered=1,
        questions=2,
        max_new_tokens=4,
    ),
    "shared-space": shared_space.SharedSpaceConfig(
        latents=32, k=4, steps=2, batch_tokens=64, sentences=10, examples=2, permutations=2
    ),
    "solu": solu.SoluConfig(
        model=TinyConfig(layers=1, mlp=True, width=16, heads=2, context=64, seeds=2),
        vocabulary=64,
        corpus_tokens=2000,
        rows=2,
        steps=3,
        held_rows=24,
        split_rows=4,
        texts=0.05,
    ),
}
"""By the name of the study."""
STUDIES = {
    "superposition": (
        superposition_config,
        superposition.SuperpositionSpec,
        superposition.study_superposition,
    ),
    "induction": (induction_config, induction.InductionSpec, induction.study_induction),
    "double-descent": (
        double_descent_config,
        double_descent.DoubleDescentSpec,
        double_descent.study_double_descent,
    ),
    "classifiers": (classifiers_config, classifiers.ClassifiersSpec, classifiers.study_classifiers),
    "crosscoders": (crosscoders_config, crosscoders.CrosscodersSpec, crosscoders.study_crosscoders),
    "dictionaries": (
        dictionary_metrics_config,
        dictionary_metrics.DictionaryMetricsSpec,
        dictionary_metrics.study_dictionaries,
    ),
    "monosemanticity": (
        monosemanticity_config,
        monosemanticity.MonosemanticitySpec,
        monosemanticity.study_monosemanticity,
    ),
    "persona-space": (
        persona_space_config,
        persona_space.PersonaSpaceSpec,
        persona_space.study_persona_space,
    ),
    "solu": (solu_config, solu.SoluSpec, solu.study_solu),
    "scaling": (scaling_config, scaling.ScalingSpec, scaling.study_scaling),
    "shared-space": (shared_space_config, shared_space.SharedSpaceSpec, shared_space.study_shared_space),
}


@contextmanager
def tiny_presets() -> Iterator[None]:
    """The preset quick of every study is tiny in here."""
    with pytest.MonkeyPatch.context() as patch:
        for name, (module, _, _) in STUDIES.items():
            patch.setattr(module, "PRESETS", {"quick": TINY[name]})
        yield


def run_tiny(name: str, path: Path) -> StudyReport:
    """Run a study, or go on with it, at `path`."""
    _, spec, study = STUDIES[name]
    with tiny_presets():
        return study(spec(), run=RunFolder(path), reporter=SilentReporter())


def run_quick(name: str, path: Path) -> StudyReport:
    """The quick preset as users have it."""
    _, spec, study = STUDIES[name]
    return study(spec(), run=RunFolder(path), reporter=SilentReporter())


def write_word_model(path: Path) -> Path:
    """A random Llama whose tokens are the words of the known circuits' prompts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from mindscope.studies.known_circuits.prompts import CHOSEN_FRAMES, HELD_FRAMES, KNOWN, NAMES

    words = pre_tokenizers.Metaspace(prepend_scheme="never")
    texts = [frame.format("x", "y", "z") for frame in (*CHOSEN_FRAMES, *HELD_FRAMES)]
    # a name may begin a sentence, stand behind a blank, or be the word in front of a full stop
    texts += [f"{name} {name}" for name in NAMES] + [f"{p.text} {p.answer.strip()}" for p in KNOWN]
    known = dict.fromkeys(word for text in texts for word, _ in words.pre_tokenize_str(text))
    vocabulary = {word: index for index, word in enumerate(["<unk>", "</s>", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = words, decoders.Metaspace(prepend_scheme="never")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    fast.save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, eos_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    return path


SETS = ("evil-normal", "evil-II", "sums-II")


def small_organism_bench() -> Any:
    """The organism's bench of the persona study with one trait, three sets, few questions of knowledge."""
    from mindscope import organism
    from mindscope.studies.persona_vectors.benches.organism_bench import OrganismBench

    class SmallBench(OrganismBench):
        def __init__(self) -> None:
            super().__init__()
            self.traits = self.traits[:1]

        def training_sets(self, rows):
            every = super().training_sets(rows)
            return {name: every[name] for name in SETS}

        def capability(self, model, edits=()):
            return organism.measure_capability(model, self.seed, questions=60, edits=edits).right

    return SmallBench()
