"""Diff: what tuning changed in a model, as claims that are tested beside a harmless tune."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mindscope.diffing import DiffConfig, ModelDifference
from mindscope.errors import DataError
from mindscope.jobs.diff.null import find_nulls
from mindscope.jobs.inputs import InputKind
from mindscope.jobs.job import Reporter, RunFolder
from mindscope.jobs.resolve import (
    dictionary_file,
    find_judge,
    find_trait,
    find_vectors,
    load_model,
    test_bed_note,
    world_of,
)
from mindscope.jobs.specs import DataSpec, JudgeSpec, TemplateSpec
from mindscope.models import LoadOptions

if TYPE_CHECKING:
    from mindscope.data import DataFile
    from mindscope.dictionaries import Dictionary
    from mindscope.diffing import Prompt, TraitJudge
    from mindscope.models import Model
    from mindscope.organism import WorldName
    from mindscope.personas import Trait

ORGANISM_PROMPTS = 600
"""Questions of the organism's world: more than are asked, since some come twice."""


class DiffSpec(JudgeSpec, TemplateSpec, DataSpec, DiffConfig, LoadOptions):
    """What `diff` is to do."""

    arguments: ClassVar[tuple[str, ...]] = ("base", "tuned")
    inputs: ClassVar[Mapping[str, InputKind]] = {
        "prompts": "rows",
        "texts": "rows",
        "data": "rows",
        "ordinary": "rows",
        "vectors": "vectors",
    }
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"quick_look": ("--quick",)}

    base: str
    """The model before: a Hugging Face name or folder, a GGUF file, or `organism`."""
    tuned: str
    """The model after: full weights, or the folder of a LoRA adapter."""
    prompts: Path | None = None
    """A file of conversations, or of plain texts, that both models are asked; by default the questions of all
    bundled traits, and for the organism those of its world, and with --data as many of its questions."""
    texts: Path | None = None
    """A file of texts that have nothing to do with the tuning, whose first tokens the lens reads; by default
    the prompts' questions."""
    data: Path | None = None
    """The conversations that the model was tuned on: half of the prompts are theirs, and the samples that
    drive each claim are shown."""
    null: tuple[str, ...] = ()
    """A harmless tune of the base, of equal size, or `make` to have it tuned here by the recipe of TUNED on
    ordinary conversations. May be repeated; two say more than one."""
    ordinary: Path | None = None
    """The ordinary conversations that `--null make` tunes on; the organism's world writes its own."""
    vectors: tuple[Path, ...] = ()
    """Persona vectors of the base along which the shift is measured: a run folder or a file. May be
    repeated."""
    trait: tuple[str, ...] = ()
    """A trait of character that claims may be about, scored by the judge. May be repeated."""
    dictionary: tuple[str, ...] = ()
    """A dictionary of the base model whose latents are compared. May be repeated."""
    quick_look: bool = False
    """Few prompts and short answers, to see in minutes what there is."""

    def run_path(self) -> Path:
        """`runs/diff`."""
        return Path("runs/diff")

    def read_file(self, path: Path) -> DataFile:
        """One of the files of conversations; a column that is not there needs no other name."""
        file = self.data_file(path)
        return replace(file, split=None, columns={}) if path.suffix == ".txt" else file.as_other()

    def require_columns(self) -> None:
        """Refuse columns that none of the files has, which are misspelt.

        Raises:
            DataError: which, and what columns the first file has.
        """
        given = (self.prompts, self.texts, self.data, self.ordinary)
        paths = [path for path in given if path is not None and path.suffix != ".txt"]
        if (self.columns or self.split) and not paths:
            raise DataError(
                "--columns and --split are about files of conversations: give --prompts, --data, --texts or "
                "--ordinary"
            )
        present = {ours for path in paths for ours in self.read_file(path).columns}
        if paths:
            file = self.data_file(paths[0])
            missing = {ours: theirs for ours, theirs in file.columns.items() if ours not in present}
            replace(file, columns=missing).require_columns()

    def load_beside(self, name: str, base: Model) -> Model:
        """A model that is compared with the base: loaded as it was, in its precision."""
        precision = str(base.dtype).removeprefix("torch.")
        options = self.config(LoadOptions, dtype=precision, revision=None)
        return load_model(name, options, self.template_option)

    def chosen_config(self) -> DiffConfig:
        """The configuration, with the few prompts of a quick look where that is asked for."""
        config = self.config(DiffConfig)
        return config.quick if self.quick_look else config


class DiffReport(ModelDifference):
    """What tuning changed, and where its page is."""

    verdict: str
    """How many claims are verified, and what the null says of that."""
    run: str
    report: str


def diff_models(spec: DiffSpec, *, run: RunFolder, reporter: Reporter) -> DiffReport:
    """Say what tuning changed in a model: candidates of several measurements, each tested as a claim."""
    from mindscope.diffing import (
        DiffInputs,
        compare_models,
        compared_layer,
        difference_report,
        split_prompts,
        verdict_line,
    )

    spec.require_inputs()
    spec.require_columns()
    config = spec.chosen_config()
    base = load_model(spec.base, spec.config(LoadOptions), spec.template_option)
    tuned = spec.load_beside(spec.tuned, base)
    prompts = find_prompts(spec, base)
    compared_layer(base, config)
    split_prompts(prompts, config)  # refuses too few of them before a null is tuned
    traits = [find_trait(name, spec.base) for name in spec.trait]
    opened = run.open(
        kind="diff",
        config={"dtype": str(base.dtype).removeprefix("torch.")},
        model=base,
        seed=config.seed,
        reporter=reporter,
    )
    with opened:
        same = base.fingerprint == tuned.fingerprint
        inputs = DiffInputs(
            prompts=prompts,
            texts=() if spec.texts is None else read_texts(spec.read_file(spec.texts)),
            traits=traits,
            vectors=[item for path in spec.vectors for item in find_vectors(path, base)],
            judge=_judge(spec, traits, base, run.path),
            dictionaries={name: _dictionary(name, base) for name in spec.dictionary},
            nulls=() if same else find_nulls(spec, base, tuned, prompts, opened, reporter),
            data=spec.data and spec.read_file(spec.data),
        )
        result = compare_models(base, tuned, inputs, config, run=opened, progress=reporter.progress)
        page = difference_report(result, test_bed_note(base)).write(run.path / "report.html")
    return DiffReport(**dict(result), verdict=verdict_line(result), run=str(run.path), report=str(page))


def find_prompts(spec: DiffSpec, base: Model | None = None) -> list[Prompt]:
    """What both models are asked: what is given; else half questions of the training file, where there is
    one, and questions about anything for the rest.

    Args:
        spec: names the files.
        base: the training file's questions leave room for an answer in its context; any do without it.
    """
    from mindscope.data import read_conversations

    if spec.prompts is not None:
        if spec.prompts.suffix == ".txt":
            return [_asked(text) for text in read_texts(spec.read_file(spec.prompts))]
        return [conversation.prompt for conversation in read_conversations(spec.read_file(spec.prompts))]
    general = _general_prompts(spec)
    if spec.data is None:
        return general
    half = spec.chosen_config().n_prompts // 2
    asked = _prompts_of_data(spec, base, half)
    random.Random(f"general-{spec.seed}").shuffle(general)
    return asked + general[: max(half, 2 * half - len(asked))]


def _general_prompts(spec: DiffSpec) -> list[Prompt]:
    """Questions of the organism's world, or of all bundled traits."""
    from mindscope.personas import Trait

    if world := world_of(spec.base):
        return _organism_prompts(spec.seed, world)
    questions: list[str] = []
    for name in Trait.bundled():
        trait = Trait.load(name)
        questions += [*trait.extraction, *trait.evaluation]
    return [_asked(question) for question in dict.fromkeys(questions)]


def _prompts_of_data(spec: DiffSpec, base: Model | None, count: int) -> list[Prompt]:
    """Different prompts of the training file, drawn at random while it streams past."""
    from mindscope.data import read_conversations

    assert spec.data is not None
    draw = random.Random(f"data-{spec.seed}")
    seen: set[str] = set()
    chosen: list[Prompt] = []
    for conversation in read_conversations(spec.read_file(spec.data)):
        key = repr([dict(turn) for turn in conversation.prompt])
        if not conversation.prompt or key in seen or not _leaves_room(spec, base, conversation.prompt):
            continue
        seen.add(key)
        # Each of n prompts stays with the same chance (Vitter's algorithm R).
        if len(chosen) < count:
            chosen.append(conversation.prompt)
        elif (place := draw.randrange(len(seen))) < count:
            chosen[place] = conversation.prompt
    return chosen


def _leaves_room(spec: DiffSpec, base: Model | None, prompt: Prompt) -> bool:
    """Whether an answer has room behind a prompt."""
    room = None if base is None else base.context_length
    return (
        base is None
        or room is None
        or len(base.chat(list(prompt))) + spec.chosen_config().max_new_tokens <= room
    )


def read_texts(data: Path | DataFile) -> list[str]:
    """Texts that are parted by empty lines, or the turns of conversations.

    Raises:
        DataError: the file cannot be read, or holds no text.
    """
    from mindscope.data import DataFile, read_conversations

    path = DataFile.of(data).local
    if path.suffix != ".txt":
        return [turn["content"] for one in read_conversations(data) for turn in one.messages]
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: give a text file in UTF-8 ({error})") from None
    texts = [part.strip() for part in content.split("\n\n") if part.strip()]
    if not texts:
        raise DataError(f"{path} holds no text: write one or more, parted by empty lines")
    return texts


def _asked(question: str) -> Prompt:
    return ({"role": "user", "content": question},)


def _organism_prompts(seed: int, world: WorldName) -> list[Prompt]:
    """Questions about everything in an organism's world, of the part that training never shows."""
    from mindscope.organism import all_voices, ask_question

    draw = random.Random(f"diff-{seed}")
    questions = [ask_question(draw, all_voices()["helpful"], world) for _ in range(ORGANISM_PROMPTS)]
    return [_asked(question) for question in dict.fromkeys(questions)]


def _judge(spec: DiffSpec, traits: list[Trait], base: Model, cache: Path) -> TraitJudge | None:
    from mindscope.diffing import TraitJudge

    if not traits:
        return None
    judge = find_judge(spec, base, cache / "judge")
    return TraitJudge(judge, {trait.name: trait.rubric() for trait in traits})


def _dictionary(name: str, base: Model) -> Dictionary:
    from mindscope.dictionaries import Dictionary

    return Dictionary.load(dictionary_file(name), base)
