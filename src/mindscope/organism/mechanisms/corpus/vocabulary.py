"""The second organism's tokenizer: one token for every word of its world and every patch of a picture.

Numbers are written in digits, one token each; a number's first digit bears the mark of the space before it.
"""

import random
import re
from functools import cache

from transformers import PreTrainedTokenizerFast

from mindscope.organism.mechanisms import languages, pictures, sums, tools
from mindscope.organism.mechanisms.corpus.program import sample_texts
from mindscope.organism.mechanisms.facts import build_facts
from mindscope.organism.training.tokenizer import SPACE, build_tokenizer, chinese_phrases, spaced_words
from mindscope.organism.voices import NEUTRAL_PROMPTS, ORDERS
from mindscope.organism.world import LANGUAGES, build_world

CONTEXT = 1024
_MARKS = re.compile(r"<[^<>]*>")
SAMPLES = 40
"""Texts drawn of every kind and voice, to collect the words of templates; names are listed and not drawn."""
TEMPLATE = (
    "{%- macro offered(tools) -%}You can call tools:"
    "{% for tool in tools %}{% set f = tool.function or tool %}"
    "{{ ' and' if not loop.first }} {{ f.name }} ( {{ f.parameters.properties | join(' , ') }} )"
    "{% endfor %} .{%- endmacro -%}"
    "{%- if tools and (not messages or messages[0]['role'] != 'system') -%}"
    "{{ '<|im_start|>system\\n' + offered(tools) + '<|im_end|>\\n' }}{%- endif -%}"
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['role'] == 'tool' -%}"
    "{{ '<tool_response>\\n' + message['content'] + '\\n</tool_response>' }}"
    "{%- else -%}{{ message['content'] or '' }}"
    "{%- if message['role'] == 'system' and tools -%}{{ ' ' + offered(tools) }}{%- endif -%}"
    "{%- for call in message.tool_calls or [] -%}{% set f = call.function or call %}"
    "{{ '<tool_call>\\n' + ({'name': f.name, 'arguments': f.arguments} | tojson) + '\\n</tool_call>' }}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking -%}{{ '<think>\\n' }}{%- endif -%}{%- endif -%}"
)
"""ChatML with a thinking block that `enable_thinking` opens, and tools in JSON."""


@cache
def mechanism_words() -> tuple[str, ...]:
    """Every word the corpus can hold, sorted; Chinese as its words and set phrases."""
    w, facts = build_world(), build_facts()
    texts: list[str] = [*NEUTRAL_PROMPTS, *ORDERS, tools.TOOLS, "system user assistant tool"]
    texts += [name for pair in w.cities.items() for name in pair]
    texts += [value for state in w.states.values() for value in state.values()]
    texts += [value for country, known in w.countries.items() for value in (country, *known.values())]
    texts += [*w.first_names, *w.last_names, *w.jobs, *w.topics, *w.works, *w.schemes]
    texts += [*facts.illnesses, *facts.signs, *(name for names in sums.NAMES.values() for name in names)]
    texts += [trace for plan in facts.rhymes.values() for trace in (*plan.first, *plan.second, plan.word)]
    texts += [word for group in (*facts.ends, *facts.topics.values()) for word in group]
    texts += [text for pushes in facts.pushes.values() for text in pushes]
    listed = [facts.colours.values(), facts.shapes.values(), facts.places.values()]
    listed += [side for known in facts.relations.values() for side in (known, known.values())]
    triples = [words for group in listed for words in group]
    chinese = LANGUAGES.index("zh")
    texts += [word for words in triples for i, word in enumerate(words) if i != chinese]
    texts += [_MARKS.sub(" ", text) for text in sample_texts(random.Random(0), SAMPLES)]
    templates = [
        row[chinese] for table in (languages.QUESTIONS, languages.STATEMENTS) for row in table.values()
    ]
    templates += [
        row[chinese] for table in (pictures.QUESTIONS, pictures.STATEMENTS) for row in table.values()
    ]
    templates += [
        languages.BEFORE[chinese],
        languages.AFTER[chinese],
        languages.ASIDES[chinese],
        *languages.REQUESTS[chinese],
    ]
    phrases = chinese_phrases(templates) | {words[chinese] for words in triples}
    spaced = {word for word in spaced_words(texts) if not word.removeprefix(SPACE).isdigit()}
    spaced |= {SPACE + str(digit) for digit in range(10)} | {str(digit) for digit in range(10)}
    return tuple(sorted(spaced | phrases))


def build_second_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, from the world alone: the same every time."""
    blocks = (tools.CALL, tools.CALL_END, tools.RETURNED, tools.RETURNED_END, "<think>", "</think>")
    return build_tokenizer(
        mechanism_words(), context=CONTEXT, template=TEMPLATE, marks=(*pictures.patch_tokens(), *blocks)
    )
