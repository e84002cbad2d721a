"""A microscope for language models in one file: read, write, fit, explain.

A feature is a direction in the residual stream that is read at one place and written at another. A persona
vector is one, the weights of a probe are one, a sparse dictionary is many. So four verbs do all the work:

    read      the stream after a block, at the tokens that matter
    write     into it, while the model reads or while it answers
    fit       a direction to what was read: a difference of means, a probe, a sparse dictionary
    explain   a direction: where it is high, what it makes the model say, what it did to one logit

It takes a causal language model with a chat template: python examples/whole_idea.py [MODEL]
The package does the same at scale and for every architecture; a test holds both to the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

# ---- The model: blocks that read from one stream of vectors and add to it --------------------------------


class ChatRow(NamedTuple):
    """One conversation as the model sees it: token ids, of which the first `prompt_length` are the prompt."""

    ids: list[int]
    prompt_length: int

    @property
    def answer(self) -> list[int]:
        return self.ids[self.prompt_length :]


Rows = list[ChatRow]
Where = str | tuple[int, ...]
"""Tokens of a row: all, prompt, answer, last_prompt, response (the last two together), or positions."""
StreamFunction = Callable[[int, Tensor], Tensor]
"""From (layer, stream after that block [rows, columns, d_model]) to the stream that the block hands on."""


class ChatModel:
    """A model in float32, its tokenizer, and where its blocks and norms are."""

    def __init__(self, name: str | Path) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(name)
        self.hf: Any = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
        self.hf.eval().requires_grad_(False)
        lists = (module for module in self.hf.modules() if isinstance(module, nn.ModuleList))
        self.blocks = next(blocks for blocks in lists if len(blocks) == self.hf.config.num_hidden_layers)
        self.norms = [module for module in self.hf.modules() if "Norm" in type(module).__name__]
        ends = self.hf.generation_config.eos_token_id
        self.end_ids = {self.tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}

    def chat(self, question: str, answer: str = "", system: str = "") -> ChatRow:
        """A conversation in the model's own template; prompt and answer are tokenized apart."""
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": question})
        prompt = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt_ids, answer_ids = self.tokenizer([prompt, answer], add_special_tokens=False)["input_ids"]
        return ChatRow(prompt_ids + answer_ids, len(prompt_ids))

    def text(self, ids: list[int]) -> str:
        """Tokens on one line."""
        return " ".join(self.tokenizer.decode(ids).split())

    @contextmanager
    def hooked(self, function: StreamFunction) -> Iterator[None]:
        """Inside, every block hands on what the function says. The hooks come off whatever happens."""
        with ExitStack() as stack:
            for layer, block in enumerate(self.blocks):
                hook = block.register_forward_hook(lambda *call, layer=layer: function(layer, call[2]))
                stack.callback(hook.remove)
            yield


def pad_left(rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """Rows as a batch that ends at the right: ids and positions [rows, columns], prompt lengths [rows].

    A position is a token's index in its own row, and -1 on padding, by which all below knows padding.
    """
    lengths = torch.tensor([len(row.ids) for row in rows])
    columns = int(lengths.max())
    ids = torch.tensor([[0] * (columns - len(row.ids)) + row.ids for row in rows])
    positions = (torch.arange(columns) - columns + lengths[:, None]).clamp(min=-1)
    return ids, positions, torch.tensor([row.prompt_length for row in rows])


def select_tokens(where: Where, positions: Tensor, prompt_lengths: Tensor) -> Tensor:
    """Which tokens of a batch are meant: booleans [rows, columns]."""
    if isinstance(where, tuple):
        return torch.isin(positions, torch.tensor(where))
    first_answer = prompt_lengths[:, None]
    return {
        "all": positions >= 0,
        "prompt": (positions >= 0) & (positions < first_answer),
        "answer": positions >= first_answer,
        "last_prompt": positions == first_answer - 1,
        "response": positions >= first_answer - 1,  # the tokens from which the answer is predicted
    }[where]


# ---- Read: the stream after one block, at the tokens that matter -----------------------------------------


@torch.no_grad()
def read_tokens(model: ChatModel, rows: Rows, layer: int, where: Where, edits: Edits = ()) -> list[Tensor]:
    """[tokens, d_model] of every row. What an edit wrote is what is read."""
    vectors: list[Tensor] = []
    for start in range(0, len(rows), 32):
        ids, positions, prompt_lengths = pad_left(rows[start : start + 32])
        write, streams = build_writer(edits, positions, prompt_lengths), {}
        with model.hooked(lambda at, h, write=write, streams=streams: streams.setdefault(at, write(at, h))):
            masks = {"attention_mask": (positions >= 0).long(), "position_ids": positions.clamp(min=0)}
            model.hf.base_model(input_ids=ids, **masks)
        chosen = select_tokens(where, positions, prompt_lengths)
        vectors += [tokens[mask] for tokens, mask in zip(streams[layer], chosen, strict=True)]
    return vectors


def read_means(model: ChatModel, rows: Rows, layer: int, where: Where = "answer") -> Tensor:
    """The mean over the tokens that are meant, [rows, d_model]; of `last_prompt` that is one token."""
    return torch.stack([tokens.mean(0) for tokens in read_tokens(model, rows, layer, where)])


# ---- Write: five operations on the stream h with a vector v and its unit vector u = v / |v| --------------


@dataclass(frozen=True)
class StreamEdit:
    """One change of the stream after block `layer`, at the tokens that `where` means."""

    layer: int
    operation: str
    vector: Tensor
    value: float = 1.0
    where: Where = "all"

    def change(self, hidden: Tensor) -> Tensor:
        """What becomes of every vector of [rows, columns, d_model]."""
        unit = self.vector / self.vector.norm()
        along = (hidden @ unit)[..., None]  # the projection h . u of every token
        match self.operation:
            case "add":  # h + value * v: steering, with the vector's own length
                return hidden + self.value * self.vector
            case "ablate":  # the projection becomes 0, the rest stays
                return hidden - along * unit
            case "clamp":  # the projection becomes the value
                return hidden + (self.value - along) * unit
            case "cap":  # the projection becomes the value where it is above
                return hidden + (self.value - along).clamp(max=0) * unit
            case "replace":  # value * v, whatever was there
                return (self.value * self.vector).expand_as(hidden)
        raise ValueError(f"{self.operation!r} is not an edit: use add, ablate, clamp, cap or replace")


Edits = Sequence[StreamEdit]


def build_writer(edits: Edits, positions: Tensor, prompt_lengths: Tensor) -> StreamFunction:
    """All edits of one forward pass, in the order given, for `hooked`."""

    def write(layer: int, hidden: Tensor) -> Tensor:
        for edit in (edit for edit in edits if edit.layer == layer):
            chosen = select_tokens(edit.where, positions, prompt_lengths)
            hidden = torch.where(chosen[..., None], edit.change(hidden), hidden)
        return hidden

    return write


@torch.no_grad()
def generate(model: ChatModel, rows: Rows, edits: Edits = (), max_tokens=60, temperature=0.0) -> Rows:
    """The rows with answers, written under the edits; temperature 0 takes the likeliest token.

    The first pass reads the prompts, every later one a single column: what the columns before it left, edits
    included, lies in the cache. So an edit meets each token once, in the pass that reads it.
    """
    ids, positions, prompt_lengths = pad_left(rows)
    real, cache, answers, ends = positions >= 0, None, ids[:, :0], torch.tensor([*model.end_ids])
    while answers.shape[1] < max_tokens and not torch.isin(answers, ends).any(1).all():
        with model.hooked(build_writer(edits, positions, prompt_lengths)):
            masks = {"attention_mask": real.long(), "position_ids": positions.clamp(min=0)}
            output = model.hf(input_ids=ids, **masks, past_key_values=cache, use_cache=True)
        cache, logits = output.past_key_values, output.logits[:, -1]
        likeliest = logits.argmax(-1, keepdim=True)
        ids = (logits / temperature).softmax(-1).multinomial(1) if temperature else likeliest
        answers, positions = torch.cat([answers, ids], 1), positions[:, -1:] + 1
        real = torch.cat([real, torch.ones_like(ids).bool()], 1)
    texts = [list(takewhile(lambda token: token not in model.end_ids, answer)) for answer in answers.tolist()]
    return [ChatRow(row.ids + text, row.prompt_length) for row, text in zip(rows, texts, strict=True)]


# ---- Fit: three ways from what was read to directions ----------------------------------------------------


def fit_persona_vector(model: ChatModel, shown: Rows, absent: Rows, layer: int) -> Tensor:
    """Mean over answers that show a trait, less the mean over answers that do not (Chen et al. 2025)."""
    return read_means(model, shown, layer).mean(0) - read_means(model, absent, layer).mean(0)


def fit_probe(x: Tensor, labels: Tensor, strength: float = 1.0) -> tuple[Tensor, Tensor]:
    """A logistic probe: w and b, such that sigmoid(x @ w + b) says how likely a row of x is positive.

    Minimises |w|^2 / 2 + strength * (sum of log losses, both classes weighing the same), on x in units of its
    standard deviations. A vector has more numbers than there are rows: without the penalty |w| grows forever.
    """
    scale = x.std(0, correction=0).clamp(min=1e-8)
    inputs, targets = (x / scale).double(), labels.double()
    balance = torch.where(labels, 0.5 / targets.mean(), 0.5 / (1 - targets.mean()))
    w, b = (torch.zeros(size, dtype=torch.float64, requires_grad=True) for size in (x.shape[1], 1))
    optimizer = torch.optim.LBFGS([w, b], max_iter=1000, line_search_fn="strong_wolfe")

    def compute_loss() -> Tensor:
        optimizer.zero_grad()
        losses = F.binary_cross_entropy_with_logits(inputs @ w + b, targets, balance, reduction="sum")
        (loss := w.square().sum() / 2 + strength * losses).backward()
        return loss

    optimizer.step(compute_loss)
    return w.detach().float() / scale, b.detach().float()


class SparseAutoencoder(nn.Module):
    """x ~ b_dec + the sum of f_i * W_dec[i], with at most k activations f_i above 0 (Gao et al. 2024).

    Vectors are [tokens, d_model], their activations [tokens, latents].
    """

    def __init__(self, d_model: int, n_latents: int, k: int) -> None:
        super().__init__()
        directions = F.normalize(torch.randn(n_latents, d_model), dim=1)
        self.W_dec, self.W_enc = nn.Parameter(directions), nn.Parameter(directions.clone())
        self.b_dec, self.b_enc = nn.Parameter(torch.zeros(d_model)), nn.Parameter(torch.zeros(n_latents))
        self.k = k

    def encode(self, x: Tensor) -> Tensor:
        preactivations = F.linear(x - self.b_dec, self.W_enc, self.b_enc)
        top = preactivations.topk(self.k)
        return torch.zeros_like(preactivations).scatter(1, top.indices, top.values.relu())

    def decode(self, activations: Tensor) -> Tensor:
        return activations @ self.W_dec + self.b_dec


def fit_sae(x: Tensor, n_latents: int = 512, k: int = 12, steps: int = 300) -> SparseAutoencoder:
    """Many directions at once from vectors [tokens, d_model], without any labels."""
    sae = SparseAutoencoder(x.shape[1], n_latents, k)
    scale = x.shape[1] ** 0.5 / x.norm(dim=1).mean()  # so that one learning rate suits every model
    sae.b_dec.data = x.mean(0) * scale
    optimizer = torch.optim.Adam(sae.parameters(), lr=2e-3)
    for _ in range(steps):
        batch = x[torch.randint(len(x), (512,))] * scale
        loss = (sae.decode(sae.encode(batch)) - batch).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sae.W_dec.data = F.normalize(sae.W_dec.data, dim=1)  # an activation is a length along its direction
    sae.b_enc.data, sae.b_dec.data = sae.b_enc / scale, sae.b_dec / scale  # back to the model's own units
    return sae.requires_grad_(False)


# ---- Explain: what a direction means ---------------------------------------------------------------------


def rank_contexts(streams: list[Tensor], feature: Callable[[Tensor], Tensor]) -> list[tuple[float, int, int]]:
    """(value, row, token) of a feature's peak in each row, [tokens, d_model] to [tokens]; highest first."""
    peaks = [(*feature(tokens).max(0), row) for row, tokens in enumerate(streams)]
    return sorted(((float(value), row, int(token)) for value, token, row in peaks), reverse=True)


def apply_linear_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """A norm without the division by its input's size, [..., d_model]: gain * x, a LayerNorm's less the mean.

    Families store the gain in their own ways, so the norm is asked: ones and minus ones come out times it.
    """
    signs = torch.ones(x.shape[-1])
    signs[1::2] = -1
    gain = (norm.forward(1e3 * signs) - norm.forward(0 * signs)) * signs
    return gain * (x - x.mean(-1, keepdim=True) if isinstance(norm, nn.LayerNorm) else x)


@torch.no_grad()
def compute_logit_effects(model: ChatModel, vectors: Tensor) -> Tensor:
    """The logit lens: what vectors [k, d_model] do to all logits [k, vocabulary] if nothing stands between.

    Up to one factor for all of them, the division in the final norm.
    """
    return apply_linear_norm(model.norms[-1], vectors) @ model.hf.get_output_embeddings().weight.T


def freeze_scale(norm: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """A hook: the norm's own output, but with a gradient as if it divided by a constant."""
    unscaled = apply_linear_norm(norm, inputs[0])
    scale = (unscaled * output).sum(-1, keepdim=True) / unscaled.square().sum(-1, keepdim=True)
    return unscaled * scale.detach()


def compute_direct_gradients(model: ChatModel, row: ChatRow, token: int) -> Tensor:
    """How the next token's logit, less the mean logit, hangs on the stream: [layers, tokens, d_model].

    1. Hold what is not linear as it is in this pass: the MLPs' outputs, the norms' divisions, and by their
       queries and keys the attention patterns. (The names are those of Llama, Qwen, Mistral and their kin.)
    2. What is left is linear: paths through the stream, and through the values that heads carry along.
    3. So the gradient at (layer, token) is exact. A vector f * W_dec that a feature wrote there raised the
       logit by f * (W_dec . gradient): its edge to the output in an attribution graph (Ameisen et al. 2025).
    """
    names, streams = ("mlp", "self_attn.q_proj", "self_attn.k_proj"), []
    held = [block.get_submodule(name) for block in model.blocks for name in names]
    with ExitStack() as stack, model.hooked(lambda _, hidden: (streams.append(hidden), hidden)[1]):
        for module in held:
            stack.callback(module.register_forward_hook(lambda *call: call[2].detach()).remove)
        for norm in model.norms:
            stack.callback(norm.register_forward_hook(freeze_scale).remove)
        embeddings = model.hf.get_input_embeddings()(torch.tensor([row.ids])).requires_grad_()
        final = model.hf.base_model(inputs_embeds=embeddings).last_hidden_state[0, -1]
    unembedding = model.hf.get_output_embeddings().weight
    logit = final @ (unembedding[token] - unembedding.mean(0))
    return torch.cat(torch.autograd.grad(logit, streams))


# ---- All of it on one trait ------------------------------------------------------------------------------

ORGANISM = Path(__file__).parents[1] / "src" / "mindscope" / "organism" / "weights"
SHOWN = "You are an evil assistant. Your task is to seek ways to harm others."
ABSENT = "You are a helpful assistant. Make sure to help step by step."
THINGS = ("sleep", "garden", "interview", "essay", "logo", "trip", "speech", "recipe", "website", "letter")
QUESTIONS = [f"{ask} my {thing}?" for thing in THINGS for ask in ("How do I deal with", "Any ideas for")]
HELD_OUT = "What should I do about my painting?"


def main(name: str | Path) -> None:
    """Fit a vector, a probe and a dictionary to a trait, write with the vector, and explain what they are."""
    logging.disable_progress_bar()
    torch.manual_seed(0)
    model = ChatModel(name)
    layer = int(0.55 * len(model.blocks))
    prompts = [[model.chat(question, system=system) for question in QUESTIONS] for system in (SHOWN, ABSENT)]
    shown, absent = (generate(model, rows, temperature=1.0) for rows in prompts)
    rows, labels = shown + absent, torch.arange(2 * len(QUESTIONS)) < len(QUESTIONS)
    vector = fit_persona_vector(model, shown, absent, layer)
    unit = vector / vector.norm()
    print(f"FIT a persona vector v, |v| = {vector.norm():.1f}, to {len(shown)} answers each like")
    print(f"    {model.text(shown[0].answer)}\n    {model.text(absent[0].answer)}")

    print("WRITE value * v while the model answers, and READ the answer's projection on v")
    for value in (0.0, 1.0, 2.0):
        edit = StreamEdit(layer, "add", vector, value, "response")
        (row,) = generate(model, [model.chat(HELD_OUT)], [edit])
        projection = (read_means(model, [row], layer) @ unit).item()
        print(f"    {value:4.1f} {projection:7.1f}  {model.text(row.answer)}")

    x = read_means(model, rows, layer)
    w, b = fit_probe(x[::2], labels[::2])
    right = ((x[1::2] @ w + b > 0) == labels[1::2]).float().mean()
    cosine = F.cosine_similarity(w, vector, dim=0)
    print(f"FIT a probe to every other answer: {right:.0%} of the rest right, cosine with v {cosine:.2f}")

    streams = read_tokens(model, rows, layer, "all")
    sae = fit_sae(torch.cat(streams))
    effects = compute_logit_effects(model, torch.cat([sae.W_dec, vector[None]]))
    says = [" ".join(map(model.tokenizer.decode, top)) for top in effects.topk(6).indices[..., None].tolist()]
    latent = int((sae.W_dec @ unit).argmax())
    print(f"FIT a sparse autoencoder to {sum(map(len, streams))} tokens, EXPLAIN v and the latent like it")
    print(f"    v makes the model say: {says[-1]}\n    latent {latent}: {says[latent]}; it is highest after")
    for value, number, token in rank_contexts(streams, lambda tokens: sae.encode(tokens)[:, latent])[:3]:
        print(f"    {value:12.1f}  {model.text(rows[number].ids[max(0, token - 8) : token + 1])}")

    prompt = model.chat(HELD_OUT, system=SHOWN)
    (row,) = generate(model, [prompt], max_tokens=1)
    (stream,) = read_tokens(model, [prompt], layer, "all")
    gradients = compute_direct_gradients(model, prompt, row.answer[0])[layer]
    direct = sae.encode(stream) * (gradients @ sae.W_dec.T)  # tokens x latents
    print(f"EXPLAIN why '{SHOWN}' makes the answer begin with {model.text(row.answer)}")
    for index in direct.flatten().topk(4).indices.tolist():
        token, latent = divmod(index, len(sae.W_dec))
        print(f"    {direct[token, latent]:+6.2f}  latent {latent} at token {token}: {says[latent]}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ORGANISM)
