"""Chat templates with the behaviour of well-known families, over a tokenizer whose tokens are characters.

Each is written for these tests; what it shares with the family is what it renders.
"""

from collections.abc import Sequence

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mindscope.models import Model, Row

SPECIAL = (
    *("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start|>", "<|end|>", "<|return|>", "<|call|>"),
    *("<|channel|>", "<|message|>", "<|user|>", "<|assistant|>", "<|endoftext|>", "<start_of_turn>"),
    *("<end_of_turn>", "[INST]", "[/INST]", "<|eot_id|>", "<|sh|>", "<|eh|>"),
)
WRITTEN = ("<think>", "</think>")
"""Tokens of their own that are shown when text is decoded, as in Qwen3 and DeepSeek-R1."""

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# Reasoning of earlier turns is dropped; the last answer gets a block, be it an empty one.
QWEN3 = """\
{%- set ns = namespace(asked=-1) -%}
{%- for m in messages if m.role == 'user' %}{% set ns.asked = loop.index0 %}{% endfor -%}
{%- set ns.seen = -1 -%}
{%- for m in messages -%}
{%- if m.role == 'user' %}{% set ns.seen = ns.seen + 1 %}{% endif -%}
{{- '<|im_start|>' + m.role + '\n' -}}
{%- if m.role == 'assistant' -%}
{%- set ns.final = m.content -%}{%- set ns.thought = m.reasoning_content or '' -%}
{%- if not ns.thought and '</think>' in m.content -%}
{%- set ns.final = m.content.split('</think>')[-1].lstrip('\n') -%}
{%- set ns.thought = m.content.split('</think>')[0].split('<think>')[-1].strip('\n') -%}
{%- endif -%}
{%- if loop.index0 > messages | map(attribute='role') | list | length - 2 and loop.last -%}
{{- '<think>\n' + ns.thought + '\n</think>\n\n' + ns.final.lstrip('\n') -}}
{%- else -%}{{- ns.final -}}{%- endif -%}
{%- else -%}{{- m.content -}}{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' -}}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' -}}{% endif -%}
{%- endif -%}"""

# The prompt opens the reasoning, and a given answer has none.
R1 = """\
{{- '<s>' -}}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{{- m.content -}}
{%- elif m.role == 'user' -%}{{- '<|user|>' + m.content -}}
{%- else -%}{{- '<|assistant|>' + m.content.split('</think>')[-1] + '</s>' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|><think>\n' -}}{%- endif -%}"""

# Channels; the last answer ends with another token than the earlier ones.
HARMONY = """\
{{- '<|start|>system<|message|>Today is ' + strftime_now('%Y-%m-%d') + '.<|end|>' -}}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{{- '<|start|>developer<|message|>' + m.content + '<|end|>' -}}
{%- elif m.role == 'user' -%}{{- '<|start|>user<|message|>' + m.content + '<|end|>' -}}
{%- else -%}
{%- if '<|channel|>' in m.content -%}{{- raise_exception('a channel stands in the content') -}}{%- endif -%}
{%- if m.thinking and loop.last and not add_generation_prompt -%}
{{- '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' -}}{%- endif -%}
{{- '<|start|>assistant<|channel|>final<|message|>' + m.content -}}
{{- '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}"""

GEMMA = """\
{{- '<s>' -}}
{%- if messages[0].role == 'system' -%}{{- raise_exception('no system role here') -}}{%- endif -%}
{%- for m in messages -%}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim -}}
{{- '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}"""

# The system text opens the last user turn; a space stands before an answer.
MISTRAL = """\
{{- '<s>' -}}
{%- set system = messages[0].content + '\n\n' if messages[0].role == 'system' else '' -%}
{%- for m in messages if m.role != 'system' -%}
{%- if m.role == 'user' -%}
{{- '[INST] ' + (system if loop.last or (loop.nextitem is defined and loop.revindex == 2) else '') -}}
{{- m.content + ' [/INST]' -}}
{%- else -%}{{- ' ' + m.content + '</s>' -}}{%- endif -%}
{%- endfor -%}"""

LLAMA3 = """\
{%- set date = date_string if date_string is defined else strftime_now('%d %b %Y') -%}
{{- '<s><|sh|>system<|eh|>\n\nToday Date: ' + date + '\n\n' -}}
{%- if messages[0].role == 'system' -%}{{- messages[0].content | trim -}}{%- endif -%}
{{- '<|eot_id|>' -}}
{%- for m in messages if m.role != 'system' -%}
{{- '<|sh|>' + m.role + '<|eh|>\n\n' + m.content | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|sh|>assistant<|eh|>\n\n' -}}{%- endif -%}"""

# A default system text that names the mode; without thinking every answer has an empty block before it.
SMOLLM3 = """\
{%- set quick = enable_thinking is defined and not enable_thinking -%}
{{- '<|im_start|>system\nMode: ' + ('/no_think' if quick else '/think') + ', ' -}}
{{- strftime_now('%d %B %Y') + '\n' -}}
{%- if messages[0].role == 'system' -%}{{- messages[0].content -}}{%- endif -%}{{- '<|im_end|>\n' -}}
{%- for m in messages if m.role != 'system' -%}
{{- '<|im_start|>' + m.role + '\n' -}}
{%- if m.role == 'assistant' and quick -%}{{- '<think>\n\n</think>\n' + m.content.lstrip('\n') -}}
{%- else -%}{{- m.content -}}{%- endif -%}{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' + ('<think>\n\n</think>\n' if quick else '') -}}{%- endif -%}"""

# No end of a turn but the next role's marker; without thinking the question says so too.
GLM = """\
{%- set quick = enable_thinking is defined and not enable_thinking -%}
{%- for m in messages -%}
{%- if m.role == 'user' -%}{{- '<|user|>\n' + m.content + ('/nothink' if quick else '') -}}
{%- elif m.role == 'system' -%}{{- '<|start|>system\n' + m.content -}}
{%- else -%}
{{- '<|assistant|>\n<think>' + (m.reasoning_content or '') + '</think>\n' -}}
{{- m.content.split('</think>')[-1].strip() -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' + ('\n<think></think>' if quick else '') -}}{%- endif -%}"""

# The end of text stands behind the last answer alone; roles are plain words.
OLMO = """\
{{- '<s>' -}}
{%- for m in messages -%}
{%- if m.role == 'assistant' -%}{{- '(assistant)\n' + m.content -}}
{{- '<|endoftext|>' if loop.last else '\n' -}}
{%- else -%}{{- '(' + m.role + ')\n' + m.content + '\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '(assistant)\n' -}}{%- endif -%}"""

TEMPLATES = {
    "chatml": CHATML,
    "qwen3": QWEN3,
    "r1": R1,
    "harmony": HARMONY,
    "gemma": GEMMA,
    "mistral": MISTRAL,
    "llama3": LLAMA3,
    "smollm3": SMOLLM3,
    "glm": GLM,
    "olmo": OLMO,
}


def character_tokenizer(template: str | dict[str, str] | None) -> PreTrainedTokenizerFast:
    """A tokenizer with one token for each character and each marker."""
    letters = {c: i for i, c in enumerate(["unk", *map(chr, range(10, 127))])}
    inner = Tokenizer(models.WordLevel(letters, unk_token="unk"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken(t) for t in SPECIAL[2:]]})
    tokenizer.add_tokens([AddedToken(token) for token in WRITTEN])
    tokenizer.chat_template = template
    return tokenizer


def spell(tokenizer: PreTrainedTokenizerFast, ids) -> str:
    """Ids as text, with every marker."""
    return "".join(tokenizer.convert_ids_to_tokens(list(ids)))


def spell_role(tokenizer: PreTrainedTokenizerFast, row, role: str) -> str:
    """The text of a row's tokens that belong to a role."""
    return spell(tokenizer, [i for i, own in zip(row.ids, row.roles, strict=True) if own == role])


def speaker(family: str) -> Model:
    """A tiny model of the family's template."""
    torch.manual_seed(5)
    tokenizer = character_tokenizer(TEMPLATES[family])
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Model.wrap(LlamaForCausalLM(config).eval(), tokenizer, name=f"tiny {family}")


class Script:
    """Makes a model say given texts: a hook on the head that raises the logit of the next character."""

    def __init__(self, model: Model, row: Row, texts: Sequence[str]) -> None:
        self._model, self._prompt = model, len(row)
        self._ids = [model.tokenizer.encode(text, add_special_tokens=False) for text in texts]
        self._seen = 0

    def __enter__(self) -> "Script":
        self._handle = self._model.hf.lm_head.register_forward_hook(self._say)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _say(self, _module, _inputs, logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone()
        for line, ids in enumerate(self._ids[: len(logits)]):
            if self._seen < len(ids):
                logits[line, -1, ids[self._seen]] = 1e6
        self._seen += 1
        return logits
