"""The study as a job."""

from __future__ import annotations

from mindscope.jobs import Reporter, RunFolder
from mindscope.studies.common import StudyReport, StudySpec


class SoluSpec(StudySpec):
    """What `solu` is to do."""

    name = "solu"


def study_solu(spec: SoluSpec, *, run: RunFolder, reporter: Reporter) -> StudyReport:
    """Train small transformers with SoLU neurons, and with others (Elhage et al. 2022)."""
    from mindscope.models import load
    from mindscope.studies.common import ConceptBench, ConceptTexts, PieceBench, StudyText, name_tokens
    from mindscope.studies.solu.claims import list_claims
    from mindscope.studies.solu.config import KINDS, ORGANISM, PRESETS, REFERENCE, TEXTS
    from mindscope.studies.solu.measure import StudiedText, measure_kind
    from mindscope.studies.solu.report import build_page
    from mindscope.studies.solu.results import KindScores, SoluStudy
    from mindscope.studies.solu.texts import ReferenceText

    config, seed = PRESETS[spec.preset], spec.seed
    reference = ReferenceText(config.vocabulary)
    settings = {"preset": spec.preset, "real_text": reference.digest, **config.model_dump(mode="json")}
    with run.open(kind="study-solu", config=settings, reporter=reporter, seed=seed) as opened:
        model = load("organism")
        corpus = StudyText(config.vocabulary, config.corpus_tokens, seed)
        pieces = {
            (kind, text): f"{file}/{kind.lower().replace(' + ', '-')}"
            for text, file in TEXTS.items()
            for kind in KINDS
        }
        bench = PieceBench(opened, reporter, "solu", {"concepts": 0.5, **dict.fromkeys(pieces.values(), 1.0)})
        concepts = ConceptBench.read(model, corpus, config.model.context, config.texts, seed)
        known = bench.measure("concepts", ConceptTexts, lambda _: concepts.measure_tokens(config.vocabulary))
        texts = {
            ORGANISM: StudiedText(ORGANISM, corpus, name_tokens(corpus, model.tokenizer), (concepts, known)),
            REFERENCE: StudiedText(REFERENCE, reference, name_tokens(reference)),
        }
        study = SoluStudy(
            real_text=reference.name,
            digest=reference.digest,
            texts=known,
            kinds=tuple(
                bench.measure(
                    piece,
                    KindScores,
                    lambda p, kind=kind, text=text: measure_kind(kind, texts[text], config, seed, p),
                )
                for (kind, text), piece in pieces.items()
            ),
        )
        study.save(run.path / "solu.json")
        claims = list_claims(study)
        facts = {"real text": reference.name, "seed": seed, **settings}
        return bench.conclude(spec, claims, build_page(study, claims, facts, bench.seconds()))
