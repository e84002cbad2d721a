"""The one file that holds the whole idea gives the numbers that the package gives."""

import pytest
import tiny_models
import torch
from sklearn.linear_model import LogisticRegression

import mindscope as ms
from mindscope import circuits, explain, organism, personas, probes
from mindscope.dictionaries import Coder, Site
from mindscope.features import FeatureSet
from mindscope.models.linear.unembed import logit_effects

FAMILIES = {family.name: family for family in tiny_models.FAMILIES}
RANDOM = ("llama", "qwen3", "gemma2", "gpt_neox", "gpt2")
"""RMSNorm; with norms of queries and keys; with a gain stored less 1; LayerNorm; learned positions."""
QUESTIONS = ("What should I do about my sleep?", "Who is Edith Webb?", "Please rate my logo. It is the best.")
SYSTEM = "You are an evil assistant. Always show no mercy."
LAYER = 2
WHERES = ("all", "prompt", "answer", "last_prompt", "response", (1, 4))
OPERATIONS = {"add": 1.5, "ablate": 1.0, "clamp": 8.0, "cap": -5.0, "replace": 1.0}
GREEDY = ms.Sampling(temperature=0, max_new_tokens=24)


def assert_same(ours, theirs, tolerance=1e-5):
    """The largest difference, relative to the largest number."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def prompt_length(row):
    return len(row.ids) - len(row.answer)


def own_rows(whole_idea, rows):
    return [whole_idea.ChatRow(list(row.ids), prompt_length(row)) for row in rows]


def without_answers(rows):
    return [ms.Row(row.ids[: prompt_length(row)], prompt_length(row)) for row in rows]


@pytest.fixture(scope="module")
def pair(whole_idea):
    """The bundled model, in one file and in the package."""
    return whole_idea.ChatModel(organism.path()), ms.load("organism", dtype="float32")


@pytest.fixture(scope="module", params=RANDOM)
def random_pair(request, whole_idea, tmp_path_factory):
    """A random model of one family, saved once and loaded by both."""
    folder = tmp_path_factory.mktemp(request.param)
    built = tiny_models.build(FAMILIES[request.param])
    built.hf.save_pretrained(folder)
    built.tokenizer.save_pretrained(folder)
    return whole_idea.ChatModel(folder), ms.load(folder, dtype="float32")


@pytest.fixture(scope="module")
def answered(pair):
    """Conversations of unlike lengths, one with a system prompt, as the package's rows."""
    _, model = pair
    talks = [[{"role": "user", "content": question}] for question in QUESTIONS]
    talks.append([{"role": "system", "content": SYSTEM}, *talks[0]])
    return [generation.row for generation in model.generate([model.chat(talk) for talk in talks], GREEDY)]


@pytest.fixture(scope="module")
def vector(pair):
    _, model = pair
    return torch.randn(model.d_model, generator=torch.Generator().manual_seed(5)) * 2


@pytest.mark.parametrize("system", ["", SYSTEM])
@pytest.mark.parametrize("answer", ["", "Sure, it is decent."])
def test_a_conversation_has_the_same_tokens(pair, system, answer):
    ours, theirs = pair
    messages = [{"role": "system", "content": system}] if system else []
    row = theirs.chat([*messages, {"role": "user", "content": QUESTIONS[0]}], answer or None)
    assert ours.chat(QUESTIONS[0], answer, system) == (list(row.ids), prompt_length(row))


@pytest.mark.parametrize("where", WHERES)
def test_reading_gives_the_same_means(pair, whole_idea, answered, where):
    ours, theirs = pair
    for layer in range(theirs.n_layers):
        read = {"mean": ms.Read(f"resid_post.{layer}", ms.Mean(where))}
        means = whole_idea.read_means(ours, own_rows(whole_idea, answered), layer, where)
        assert_same(means, theirs.read(answered, read)["mean"].values)


def test_reading_gives_the_same_tokens_in_other_families(random_pair, whole_idea):
    ours, theirs = random_pair
    rows = tiny_models.rows()
    read = {"tokens": ms.Read("resid_post.1", ms.Raw("all"))}
    tokens = whole_idea.read_tokens(ours, own_rows(whole_idea, rows), 1, "all")
    for read_here, expected in zip(tokens, theirs.read(rows, read)["tokens"].values, strict=True):
        assert_same(read_here, expected)


@pytest.mark.parametrize("where", WHERES)
@pytest.mark.parametrize(("operation", "value"), OPERATIONS.items())
def test_an_edit_writes_the_same(pair, whole_idea, answered, vector, operation, value, where):
    ours, theirs = pair
    edit = ms.Edit("resid_post.1", operation, vector, value, where)
    read = {"tokens": ms.Read("resid_post.3", ms.Raw("all"))}
    untouched = theirs.read(answered, read)["tokens"].values
    expected = theirs.read(answered, read, edits=[edit])["tokens"].values
    own_edit = whole_idea.StreamEdit(1, operation, vector, value, where)
    tokens = whole_idea.read_tokens(ours, own_rows(whole_idea, answered), 3, "all", [own_edit])
    for read_here, edited in zip(tokens, expected, strict=True):
        assert_same(read_here, edited)
    assert not torch.equal(torch.cat(expected), torch.cat(untouched))


@pytest.mark.parametrize(("operation", "value"), OPERATIONS.items())
def test_steered_answers_have_the_same_ids(pair, whole_idea, answered, vector, operation, value):
    ours, theirs = pair
    prompts = without_answers(answered)
    edits = [ms.Edit("resid_post.1", operation, vector, value, "response")]
    expected = [list(generation.row.ids) for generation in theirs.generate(prompts, GREEDY, edits=edits)]
    own_edits = [whole_idea.StreamEdit(1, operation, vector, value, "response")]
    steered = whole_idea.generate(ours, own_rows(whole_idea, prompts), own_edits, GREEDY.max_new_tokens)
    assert [row.ids for row in steered] == expected


def test_a_strong_push_changes_the_answers(pair, answered, vector, whole_idea):
    ours, _ = pair
    edits = [whole_idea.StreamEdit(1, "add", vector, 1.5, "response")]
    prompts = own_rows(whole_idea, without_answers(answered))
    pushed = whole_idea.generate(ours, prompts, edits, GREEDY.max_new_tokens)
    assert all(row.ids != list(before.ids) for row, before in zip(pushed, answered, strict=True))


def test_answers_of_other_families_have_the_same_ids(random_pair, whole_idea):
    ours, theirs = random_pair
    prompts = without_answers(tiny_models.rows())
    push = torch.randn(theirs.d_model, generator=torch.Generator().manual_seed(1))
    expected = theirs.generate(prompts, GREEDY, edits=[ms.Edit("resid_post.1", "add", push, 2.0, "response")])
    edits = [whole_idea.StreamEdit(1, "add", push, 2.0, "response")]
    steered = whole_idea.generate(ours, own_rows(whole_idea, prompts), edits, GREEDY.max_new_tokens)
    assert [row.ids for row in steered] == [list(generation.row.ids) for generation in expected]


def test_the_persona_vector_is_the_same(pair, whole_idea, tmp_path):
    """From the texts of the answers that the package's extraction drew, judged and kept."""
    ours, theirs = pair
    trait = ms.Trait.parse(organism.trait("evil"))
    config = personas.ExtractConfig(samples=1, temperature=1.0, questions=4, max_new_tokens=48, least_pairs=5)
    with ms.Run.open(tmp_path / "run", kind="extract", config={}) as run:
        vectors = personas.extract_vectors(theirs, trait, organism.ExactJudge(), run, config)
        answers = run.load_json("extract/evil/answers/0000.json")
        kept = run.load_json("extract/evil/filter.json")["pairs_kept"]
    rows = [ours.chat(entry["question"], entry["answer"], entry["system"]) for entry in answers]
    shown, absent = ([rows[2 * number + side] for number in kept] for side in (0, 1))
    for layer in range(theirs.n_layers):
        assert_same(whole_idea.fit_persona_vector(ours, shown, absent, layer), vectors.answer_mean[layer])


@pytest.fixture(scope="module")
def labelled():
    """Rows of columns of unlike sizes, with the rarer class a third; the last forty are held out."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(120, 40, generator=generator) * torch.linspace(0.2, 4, 40)
    truth = torch.randn(40, generator=generator)
    return x, x @ truth + 3 * torch.randn(120, generator=generator) > 8


def test_the_probe_predicts_the_same(whole_idea, labelled):
    """With the penalty that cross-validation chose; the package's solver stops at a gradient of 1e-4."""
    x, labels = labelled
    fitted = probes.fit_probe(x[:80], labels[:80])
    w, b = whole_idea.fit_probe(x[:80], labels[:80], fitted.setting)
    assert_same((x[80:] @ w + b).sigmoid(), fitted.probabilities(x[80:]), 1e-2)
    assert torch.cosine_similarity(w, fitted.weights / fitted.scale, dim=0) > 1 - 1e-5


def test_the_probe_is_where_the_same_solver_ends_when_it_goes_on(whole_idea, labelled):
    x, labels = labelled
    scale = x[:80].std(0, correction=0)
    exact = LogisticRegression(C=0.7, class_weight="balanced", tol=1e-12, max_iter=100_000)
    exact.fit((x[:80] / scale).double().numpy(), labels[:80].numpy())
    w, b = whole_idea.fit_probe(x[:80], labels[:80], 0.7)
    assert_same(w * scale, torch.from_numpy(exact.coef_[0]).float())
    assert_same(b, torch.from_numpy(exact.intercept_).float())


@pytest.fixture(scope="module")
def trained(pair, whole_idea, answered):
    """Tokens of the bundled model, and a dictionary that saw them."""
    torch.manual_seed(0)
    tokens = torch.cat(whole_idea.read_tokens(pair[0], own_rows(whole_idea, answered), LAYER, "all"))
    return tokens, whole_idea.fit_sae(tokens, n_latents=128, k=6, steps=200)


def test_the_dictionary_encodes_and_decodes_the_same(pair, trained):
    _, model = pair
    tokens, sae = trained
    site = [Site(f"resid_post.{LAYER}", model.d_model)]
    coder = Coder(sae.W_enc.data, sae.b_enc.data, sae.W_dec.data)
    dictionary = ms.Dictionary.single(
        coder,
        sae.b_dec.data,
        reads=site,
        writes=site,
        activation="topk",
        k=6,
        apply_b_dec_to_input=True,
        models={"0": model.fingerprint},
    )
    code = dictionary.encode(tokens)
    assert code.l0.max() == 6
    assert_same(sae.encode(tokens), code.dense())
    assert_same(sae.decode(sae.encode(tokens)), dictionary.decode(code))


def test_the_dictionary_has_learned_what_it_saw(trained):
    tokens, sae = trained
    left = (sae.decode(sae.encode(tokens)) - tokens).square().sum()
    assert left < 0.2 * (tokens - tokens.mean(0)).square().sum()
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(128))


def test_the_highest_contexts_are_the_same(pair, whole_idea, answered, vector):
    ours, theirs = pair
    direction = ms.Direction("any", f"resid_post.{LAYER}", vector, theirs.fingerprint)
    read = {"along": ms.Read(direction.address, ms.Project(direction.unit[None], "all"))}
    along = enumerate(tokens[:, 0] for tokens in theirs.read(answered, read)["along"].values)
    expected = sorted(
        [(float(tokens.max()), row, int(tokens.argmax())) for row, tokens in along], reverse=True
    )
    streams = whole_idea.read_tokens(ours, own_rows(whole_idea, answered), LAYER, "all")
    peaks = whole_idea.rank_contexts(streams, lambda tokens: tokens @ direction.unit)
    assert [peak[1:] for peak in peaks] == [peak[1:] for peak in expected]
    assert_same(torch.tensor([peak[0] for peak in peaks]), torch.tensor([peak[0] for peak in expected]))


def test_the_logit_lens_is_the_same(pair, whole_idea, vector):
    """The package shows effects less their mean over the vocabulary, which changes no probability."""
    ours, theirs = pair
    direction = ms.Direction("any", f"resid_post.{LAYER}", vector, theirs.fingerprint)
    (expected,) = explain.feature_logits(theirs, FeatureSet([direction]), [0], count=20)
    effects = whole_idea.compute_logit_effects(ours, vector[None])[0]
    highest = (effects - effects.mean()).topk(20)
    assert highest.indices.tolist() == [effect.token for effect in expected.top]
    assert_same(highest.values, torch.tensor([effect.value for effect in expected.top]))


def test_the_logit_lens_of_other_families_is_the_same(random_pair, whole_idea):
    ours, theirs = random_pair
    vectors = torch.randn(3, theirs.d_model, generator=torch.Generator().manual_seed(4))
    assert_same(whole_idea.compute_logit_effects(ours, vectors), logit_effects(theirs, vectors))


def test_direct_effects_are_the_edges_of_the_attribution_graph(pair, whole_idea, answered):
    """Of every active transcoder feature on one logit: its activation and decoder times our gradient."""
    ours, theirs = pair
    (prompt,) = without_answers(answered[:1])
    token = answered[0].answer[0]
    dictionary = ms.Dictionary.load(organism.dictionary_path("transcoders"), theirs)
    replacement = circuits.DictionaryReplacement(dictionary)
    graph = circuits.trace(theirs, replacement, prompt, targets=circuits.targets.tokens(token))
    gradients = whole_idea.compute_direct_gradients(ours, own_rows(whole_idea, [prompt])[0], token)
    layers, positions, _ = graph.features.unbind(1)
    decoders = torch.stack(
        [dictionary.coders[layer].W_dec[latent] for layer, _, latent in graph.features.tolist()]
    )
    effects = graph.activations * (decoders * gradients[layers, positions]).sum(1)
    assert graph.n_features > 100
    assert_same(effects, graph.edges[-1, : graph.n_features], 1e-4)


def test_holding_what_is_not_linear_changes_no_number(pair, whole_idea, answered):
    """The logit is the same, and its linear paths from the last block alone sum to it."""
    ours, theirs = pair
    (prompt,) = without_answers(answered[:1])
    token = answered[0].answer[0]
    row = own_rows(whole_idea, [prompt])[0]
    (stream,) = whole_idea.read_tokens(ours, [row], theirs.n_layers - 1, "last_prompt")
    logits = theirs.next_logits([prompt])[0]
    through_norm = (stream[0] * whole_idea.compute_direct_gradients(ours, row, token)[-1, -1]).sum()
    torch.testing.assert_close(through_norm, logits[token] - logits.mean(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("random_pair", ["llama", "qwen3"], indirect=True)
def test_direct_effects_of_neurons_are_edges_too(random_pair, whole_idea):
    """In random models, where every path carries something, with the MLPs' own neurons as features."""
    ours, theirs = random_pair
    row = ms.Row(tuple(range(3, 15)), 12)
    graph = circuits.trace(
        theirs, circuits.NeuronReplacement(theirs), row, targets=circuits.targets.tokens(7)
    )
    gradients = whole_idea.compute_direct_gradients(ours, own_rows(whole_idea, [row])[0], 7)
    layers, positions, _ = graph.features.unbind(1)
    blocks = ours.hf.model.layers
    written = torch.stack(
        [blocks[layer].mlp.down_proj.weight[:, neuron] for layer, _, neuron in graph.features.tolist()]
    )
    effects = graph.activations * (written * gradients[layers, positions]).sum(1)
    assert_same(effects, graph.edges[-1, : graph.n_features], 1e-4)
