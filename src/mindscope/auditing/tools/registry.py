"""All tools by name."""

from __future__ import annotations

from collections.abc import Mapping

from mindscope.auditing.tools import black_box, comparison, data, inside
from mindscope.auditing.tools.session import AuditTool

TOOLS: Mapping[str, AuditTool] = {
    tool.name: tool
    for tool in (
        AuditTool("chat", "Ask questions.", black_box.ChatToolSpec, black_box.chat),
        AuditTool(
            "prefill",
            "Begin the answer and let the model go on.",
            black_box.PrefillToolSpec,
            black_box.prefill,
        ),
        AuditTool(
            "speaker", "Let the model write the user's turn.", black_box.SpeakerToolSpec, black_box.speaker
        ),
        AuditTool(
            "complete", "Let the model complete documents.", black_box.CompletionsToolSpec, black_box.complete
        ),
        AuditTool(
            "force_tokens",
            "The likeliest next tokens after forced words.",
            black_box.ForceTokensToolSpec,
            black_box.force_tokens,
        ),
        AuditTool(
            "search_data", "Search the training data.", data.SearchDataToolSpec, data.search_data, "data"
        ),
        AuditTool(
            "rank_data",
            "Rank the training data along a character.",
            data.RankDataToolSpec,
            data.rank_data,
            "dictionary",
        ),
        AuditTool(
            "top_features",
            "The most active latents on a prompt.",
            inside.TopFeaturesToolSpec,
            inside.top_features,
            "dictionary",
        ),
        AuditTool(
            "feature_examples",
            "Where a latent is active.",
            inside.FeatureExamplesToolSpec,
            inside.feature_examples,
            "dictionary",
        ),
        AuditTool("steer", "Ask while steering.", inside.SteerToolSpec, inside.steer, "dictionary"),
        AuditTool(
            "project",
            "How far prompts lie along characters.",
            inside.ProjectionsToolSpec,
            inside.project,
            "dictionary",
        ),
        AuditTool(
            "trace_prompt",
            "An attribution graph of a prompt.",
            inside.GraphToolSpec,
            inside.trace_prompt,
            "dictionary",
        ),
        AuditTool(
            "diff_candidates",
            "Phrases that are more frequent than before tuning.",
            comparison.DiffToolSpec,
            comparison.diff_candidates,
            "base",
        ),
        AuditTool(
            "diverging_prompts",
            "Prompts on which tuning changed most.",
            comparison.DivergenceToolSpec,
            comparison.diverging_prompts,
            "base",
        ),
    )
}
