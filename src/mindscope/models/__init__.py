"""A causal language model under the microscope: load, read, write, generate, chat.

The one place that knows where an architecture keeps its parts. Reading reduces while activations stream
past; writing happens per row and per position; generating does both at once.
"""

from typing import TYPE_CHECKING

from mindscope.core import lazy_face

if TYPE_CHECKING:
    from mindscope.models.answer_logprobs import score_answer_tokens
    from mindscope.models.baking.checkpoint import (
        LogprobComparison,
        compare_logprobs,
        first_difference,
        open_changed,
        save_changed,
    )
    from mindscope.models.baking.weight_changes import WeightChanges, ablate_everywhere, change_weights
    from mindscope.models.generation.batch import DecodingBatch
    from mindscope.models.generation.branches import AnswerBranch, PromptBranches, cache_beginning
    from mindscope.models.generation.config import Sampling, SamplingConfig
    from mindscope.models.generation.control import Controller, ReadTable, RowAction, SeenTokens
    from mindscope.models.generation.generate import MemoryWarning, is_out_of_memory
    from mindscope.models.generation.prefix_cache import PrefixCache
    from mindscope.models.generation.request import (
        Generation,
        GenerationHandle,
        GenerationRequest,
        TokenConstraint,
        TokenLogprob,
    )
    from mindscope.models.hooks.attach import ActiveEdits
    from mindscope.models.hooks.core import Edits
    from mindscope.models.hooks.edit_gauge import EditEffect
    from mindscope.models.hooks.edits import Edit, Op, check_vector
    from mindscope.models.hooks.names import (
        HookAlias,
        address_of_hook,
        address_of_module,
        hook_of_address,
        known_address,
        module_of_address,
        split_address,
    )
    from mindscope.models.hooks.norms import LinearNorm
    from mindscope.models.hooks.read import Read, Reading, RowProgress, length_sorted_batches
    from mindscope.models.hooks.reduce import Apply, Last, Mean, Project, Raw
    from mindscope.models.hooks.rewrite import Rewrite, RewrittenPass, rewritten
    from mindscope.models.linear.anatomy import (
        AttentionMaps,
        LinearParts,
        MLPMaps,
        find_linear_parts,
        mlp_maps,
    )
    from mindscope.models.linear.frozen import FrozenPass, FrozenPasses, freeze, frozen
    from mindscope.models.linear.head_reading import HeadReading, head_reading
    from mindscope.models.linear.logit_pieces import make_logits, read_before_head, split_positions
    from mindscope.models.linear.patterns import AttentionRecord
    from mindscope.models.linear.stream import map_to_stream, writes_residual
    from mindscope.models.linear.unembed import centred_unembedding, logit_effects
    from mindscope.models.loading.gguf_reader import open_gguf
    from mindscope.models.loading.loading import find_device
    from mindscope.models.loading.options import LoadOptions, WholeModelOptions
    from mindscope.models.loading.placement import own_device
    from mindscope.models.loading.weigh import (
        ModelShape,
        best_cpu_dtype,
        build_stand_in,
        count_parameters,
        read_shape,
        shape_of,
    )
    from mindscope.models.model import Model, load
    from mindscope.models.template_record import ChatRenderer, TemplateRecord, describe_prompts
    from mindscope.models.tokens.batch import BatchLayout, right_padded
    from mindscope.models.tokens.chat import ChatTokenizer
    from mindscope.models.tokens.display import shown, vocabulary, written
    from mindscope.models.tokens.rows import (
        WHERES,
        AnswerTokens,
        Message,
        Positions,
        Row,
        ToolMessage,
        Where,
        check_where,
        position_mask,
        row_mask,
    )
    from mindscope.models.tokens.template import TemplateMode
    from mindscope.models.tokens.text import token_texts
    from mindscope.models.turns import PackedConversation, TurnSpan, pack_turns, require_room, turn_rows


__all__ = [
    "own_device",
    "load",
    "open_gguf",
    "score_answer_tokens",
    "ablate_everywhere",
    "change_weights",
    "WeightChanges",
    "save_changed",
    "open_changed",
    "compare_logprobs",
    "first_difference",
    "LogprobComparison",
    "Model",
    "read_before_head",
    "make_logits",
    "split_positions",
    "count_parameters",
    "read_shape",
    "build_stand_in",
    "ModelShape",
    "shape_of",
    "best_cpu_dtype",
    "LoadOptions",
    "WholeModelOptions",
    "Row",
    "Message",
    "ToolMessage",
    "Read",
    "Mean",
    "Last",
    "Raw",
    "Project",
    "Apply",
    "Edit",
    "Op",
    "Sampling",
    "Generation",
    "GenerationRequest",
    "GenerationHandle",
    "TokenLogprob",
    "TokenConstraint",
    "EditEffect",
    "PrefixCache",
    "DecodingBatch",
    "AnswerBranch",
    "PromptBranches",
    "cache_beginning",
    "Controller",
    "ReadTable",
    "SeenTokens",
    "RowAction",
    "Reading",
    "RowProgress",
    "ChatTokenizer",
    "LinearParts",
    "AttentionMaps",
    "AttentionRecord",
    "ActiveEdits",
    "Edits",
    "FrozenPass",
    "HeadReading",
    "FrozenPasses",
    "LinearNorm",
    "MLPMaps",
    "HookAlias",
    "PackedConversation",
    "BatchLayout",
    "Rewrite",
    "RewrittenPass",
    "SamplingConfig",
    "MemoryWarning",
    "is_out_of_memory",
    "AnswerTokens",
    "Positions",
    "WHERES",
    "Where",
    "address_of_hook",
    "address_of_module",
    "find_device",
    "find_linear_parts",
    "centred_unembedding",
    "length_sorted_batches",
    "check_vector",
    "check_where",
    "freeze",
    "frozen",
    "head_reading",
    "hook_of_address",
    "known_address",
    "logit_effects",
    "map_to_stream",
    "writes_residual",
    "position_mask",
    "row_mask",
    "ChatRenderer",
    "TemplateMode",
    "TemplateRecord",
    "describe_prompts",
    "TurnSpan",
    "mlp_maps",
    "module_of_address",
    "split_address",
    "pack_turns",
    "rewritten",
    "right_padded",
    "shown",
    "token_texts",
    "require_room",
    "turn_rows",
    "vocabulary",
    "written",
]

__getattr__, __dir__ = lazy_face(__name__, __file__)
