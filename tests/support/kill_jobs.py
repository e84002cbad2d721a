"""Every job that keeps a run, with what makes it small enough to be killed often, as `kill_kit.py` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import audit_kit
import gate_kit
import pytest
from kill_sizes import (
    hashed_judge,
    tiny_demo,
    tiny_organism,
    tiny_reproduction,
    tiny_studies,
    tiny_tunes,
)

if TYPE_CHECKING:
    from kill_kit import KillBench


@dataclass(frozen=True)
class KillableJob:
    """How a job is run in the campaign.

    Attributes:
        values: its specification, on a bench.
        after: the job whose finished run it works in.
        patch: makes it small.
        is_slow: takes more than about ten seconds; killed in the long tier alone.
        holds_run: whether it keeps others out of the run and tidies up there; if not, what a killed one was
            writing stays under a hidden name until somebody opens the run.
    """

    values: Callable[[KillBench], Mapping[str, Any]]
    after: str | None = None
    patch: Callable[[pytest.MonkeyPatch], None] = lambda _: None
    is_slow: bool = False
    holds_run: bool = True


def answers(**more: Any) -> dict[str, Any]:
    """Short answers in small pieces."""
    return {"max_new_tokens": 6, "shard_rows": 8, "batch_rows": 4, "dtype": "float32", **more}


SURVEY = {"rows": 16, "top": 4, "sample": 6, "controls": 8, "block_rows": 4, "read_rows": 2}

CAMPAIGN: Mapping[str, KillableJob] = {
    "demo": KillableJob(lambda _: {}, patch=tiny_demo, is_slow=True),
    "diff": KillableJob(
        lambda bench: {
            "base": bench.base,
            "tuned": str(bench.path("tuned")),
            "dtype": "float32",
            "prompts": bench.path("ordinary.jsonl"),
            "n_prompts": 40,
            "max_new_tokens": 6,
            "resamples": 100,
            "n_terms": 3,
            "batch_rows": 8,
        }
    ),
    "gate run": KillableJob(
        lambda bench: gate_kit.spec(bench.folder).model_dump(), patch=hashed_judge, is_slow=True
    ),
    "persona extract": KillableJob(
        lambda bench: answers(
            model=bench.base,
            trait=str(bench.path("loud.yaml")),
            judge="model:judge",
            samples=2,
            least_pairs=2,
            resamples=20,
        ),
        patch=hashed_judge,
    ),
    "persona sweep": KillableJob(
        lambda bench: answers(
            model=bench.base,
            trait=str(bench.path("loud.yaml")),
            judge="model:judge",
            layers=(1,),
            coefficients=(1.0, 2.0),
            questions=2,
            n_random=1,
        ),
        after="persona extract",
        patch=hashed_judge,
    ),
    "persona steer": KillableJob(
        lambda bench: answers(
            model=bench.base,
            trait=str(bench.path("loud.yaml")),
            judge="model:judge",
            layer=1,
            coefficient=1.0,
            n_random=1,
        ),
        after="persona extract",
        patch=hashed_judge,
    ),
    "persona bake": KillableJob(
        lambda bench: answers(
            model=bench.base,
            vectors=bench.path("loud.safetensors"),
            judge="model:judge",
            layers=(1,),
            coefficients=(1.0, 2.0),
            questions=2,
            texts=3,
        ),
        patch=hashed_judge,
    ),
    "persona monitor": KillableJob(
        lambda bench: {
            "model": bench.base,
            "dtype": "float32",
            "data": bench.path("data.jsonl"),
            "vectors": (bench.path("loud.safetensors"),),
            "calibrate": bench.path("ordinary.jsonl"),
            "false_alarms": 0.1,
            "window": 2,
            "shard_rows": 4,
            "batch_rows": 2,
        }
    ),
    "persona screen": KillableJob(
        lambda bench: answers(
            model=bench.base,
            data=bench.path("data.jsonl"),
            vectors=(bench.path("loud.safetensors"),),
            form="exact",
            layers=("loud=1",),
            shard_rows=4,
        )
    ),
    "persona finetune": KillableJob(
        lambda bench: {
            "model": bench.base,
            "data": bench.path("data.jsonl"),
            "dtype": "float32",
            "rank": 2,
            "alpha": 4,
            "learning_rate": 1e-3,
            "steps": 6,
            "batch_rows": 2,
            "accumulation": 1,
            "save_every": 2,
        }
    ),
    "persona shift": KillableJob(
        lambda bench: answers(
            base=bench.base,
            tuned=(str(bench.path("tuned")),),
            vectors=(bench.path("loud.safetensors"),),
            layers=(0, 2),
            layer=1,
            answers=True,
            resamples=100,
        )
    ),
    "persona reproduce": KillableJob(lambda _: {}, patch=tiny_reproduction, is_slow=True),
    "dictionary train": KillableJob(
        lambda bench: {
            "model": bench.base,
            "corpus": str(bench.path("texts.jsonl")),
            "dtype": "float32",
            "n_latents": 40,
            "k": 4,
            "steps": 9,
            "batch_tokens": 32,
            "buffer_batches": 2,
            "checkpoint_every": 2,
            "log_every": 1,
        }
    ),
    "dictionary evaluate": KillableJob(
        lambda bench: {
            "model": bench.base,
            "corpus": str(bench.path("texts.jsonl")),
            "dtype": "float32",
            "dictionaries": (str(bench.path("sae.safetensors")),),
            "rows": 12,
            "shard_rows": 3,
        }
    ),
    "dictionary record": KillableJob(
        lambda bench: {
            "model": bench.base,
            "corpus": str(bench.path("texts.jsonl")),
            "dtype": "float32",
            "sites": "resid_post.0,mlp_out.1",
            "tokens": 200,
        }
    ),
    "feature survey": KillableJob(
        lambda bench: {
            "model": bench.base,
            "dictionary": str(bench.path("sae.safetensors")),
            "corpus": str(bench.path("texts.jsonl")),
            "dtype": "float32",
            **SURVEY,
        }
    ),
    **{
        f"feature {verb}": KillableJob(
            lambda bench, more=more: {
                "model": bench.base,
                "dictionary": str(bench.path("sae.safetensors")),
                "dtype": "float32",
                **more,
            },
            after="feature survey",
            holds_run=verb == "label",
        )
        for verb, more in (
            ("show", {"feature": 3}),
            ("search", {"words": "ab"}),
            ("map", {"method": "pca"}),
            ("label", {}),
        )
    },
    "feature alarm": KillableJob(
        lambda bench: {
            "model": bench.base,
            "dictionary": str(bench.path("sae.safetensors")),
            "dtype": "float32",
            "latents": (3, 5),
            "data": bench.path("data.jsonl"),
            "calibrate": bench.path("ordinary.jsonl"),
            "false_alarms": 0.1,
            "window": 2,
            "shard_rows": 4,
            "batch_rows": 2,
        }
    ),
    "circuit trace": KillableJob(lambda bench: {"model": bench.base, "prompt": "ab cd", "max_features": 40}),
    "circuit cases": KillableJob(lambda _: {"families": ("two-hop",), "quick": True}, is_slow=True),
    "circuit known": KillableJob(
        lambda bench: {"model": str(bench.path("words")), "nodes": 20, "patched": 1, "held": 10}
    ),
    "organism train": KillableJob(lambda _: {"device": "cpu"}, patch=tiny_organism),
    "organism tune": KillableJob(lambda _: audit_kit.SPEC.model_dump(), patch=tiny_tunes, is_slow=True),
    "audit play": KillableJob(
        lambda bench: {"folder": bench.finished("organism tune")}, patch=tiny_tunes, is_slow=True
    ),
    "organism dictionaries": KillableJob(
        lambda _: {"parts": ("sae",), "steps": 2, "measure": False, "device": "cpu"}, is_slow=True
    ),
    "study superposition": KillableJob(lambda _: {}, patch=tiny_studies),
    "study double-descent": KillableJob(lambda _: {}, patch=tiny_studies),
    "study induction": KillableJob(lambda _: {}, patch=tiny_studies),
    "study crosscoders": KillableJob(lambda _: {}, patch=tiny_studies, is_slow=True),
    "study dictionaries": KillableJob(lambda _: {}, patch=tiny_studies, is_slow=True),
    "study persona-space": KillableJob(lambda _: {}, patch=tiny_studies, is_slow=True),
    "study classifiers": KillableJob(lambda _: {}, patch=tiny_studies, is_slow=True),
    "study monosemanticity": KillableJob(lambda _: {}, patch=tiny_studies, is_slow=True),
    "study solu": KillableJob(lambda _: {}, patch=tiny_studies, is_slow=True),
    "study scaling": KillableJob(lambda _: {}, patch=tiny_studies, is_slow=True),
    "study shared-space": KillableJob(lambda _: {}, patch=tiny_studies, is_slow=True),
}
"""All jobs that keep a run, by the names of their commands; a test says when one is missing."""
ELSEWHERE = {
    "quickstart": "hands its run to the demo, which is killed",
    "audit move": "one command is one move of a person's game, and the same command again another",
}
"""Jobs that have a run and are not killed here, and why."""
