"""What circuit-tracer takes for the same graph, in an environment of its own.

Run by `benchmarks/attribution.py --peer PYTHON` (circuit-tracer 0.5.0). Its folder holds the Hugging Face
model and the dictionary in circuit-tracer's own files, and gets the features and edges that the peer found.
The model is handed to TransformerLens as a configuration and weights, so that nothing needs a name on a hub.
"""

import json
import statistics
import sys
from pathlib import Path

import torch
import yaml
from circuit_tracer.attribution.attribute import attribute
from circuit_tracer.replacement_model import ReplacementModel
from circuit_tracer.transcoder import load_transcoder_set
from circuit_tracer.transcoder.cross_layer_transcoder import load_clt
from clock import measure
from safetensors.torch import save_file
from transformer_lens import HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_llama_weights
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    folder = Path(settings["folder"])
    model = open_model(folder)
    ids, graphs = torch.tensor(settings["ids"]), []

    def work(n_tokens: int | None = None, nodes: int = settings["nodes"]) -> None:
        graphs.clear()
        graph = attribute(
            ids[:n_tokens],
            model,
            batch_size=settings["batch"],
            max_feature_nodes=nodes,
            update_interval=settings["update_interval"],
        )
        graphs.append(graph)

    work(4, 8)  # warm, as the other side is
    costs = [measure(work) for _ in range(settings["rounds"])]
    (graph,) = graphs
    found = {
        "features": graph.active_features[graph.selected_features].contiguous(),
        "adjacency": graph.adjacency_matrix.contiguous(),
    }
    save_file(found, folder / "peer.safetensors")
    seconds = statistics.median(cost.seconds for cost in costs)
    print(json.dumps({"seconds": seconds, "megabytes": max(cost.megabytes for cost in costs)}))


def open_model(folder: Path) -> ReplacementModel:
    hf = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    their = hf.config
    config = HookedTransformerConfig(
        n_layers=their.num_hidden_layers,
        d_model=their.hidden_size,
        d_head=their.head_dim,
        n_heads=their.num_attention_heads,
        n_key_value_heads=their.num_key_value_heads,
        d_mlp=their.intermediate_size,
        d_vocab=their.vocab_size,
        n_ctx=their.max_position_embeddings,
        eps=their.rms_norm_eps,
        act_fn="silu",
        gated_mlp=True,
        normalization_type="RMS",
        final_rms=True,
        positional_embedding_type="rotary",
        rotary_base=int(their.rope_theta),
        rotary_dim=their.head_dim,
        rotary_adjacent_pairs=False,
        original_architecture="LlamaForCausalLM",
        model_name="random-llama",
        device="cpu",
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "model" / "tokenizer.json"),
        bos_token="w1",
        eos_token="w1",
        pad_token="w0",
    )
    tokenizer.init_kwargs |= {"name_or_path": "", "add_bos_token": True}  # or it is looked for on a hub
    dictionary = open_dictionary(folder / "dictionary", config.n_layers)
    model = ReplacementModel.from_config(config, dictionary, tokenizer=tokenizer)
    state = {
        name.replace(".mlp.", ".mlp.old_mlp.").replace("unembed.", "unembed.old_unembed."): value
        for name, value in convert_llama_weights(hf, config).items()
    }
    missing, unknown = model.load_state_dict(state, strict=False)
    lost = [
        name
        for name in missing
        if name.rsplit(".", 1)[-1] not in ("mask", "IGNORE", "rotary_sin", "rotary_cos")
        and not name.startswith("transcoders.")
        and ".b_" not in name
        and "_b_" not in name
    ]
    assert not unknown, unknown
    assert not lost, lost
    return model.eval()


def open_dictionary(folder: Path, n_layers: int) -> object:
    """Its transcoders or its cross-layer transcoder, with all weights in memory."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    options = {
        "feature_input_hook": config["feature_input_hook"],
        "feature_output_hook": config["feature_output_hook"],
        "scan": config["scan"],
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "lazy_encoder": False,
        "lazy_decoder": False,
    }
    if config["model_kind"] == "cross_layer_transcoder":
        return load_clt(str(folder), **options)
    paths = {layer: str(folder / f"layer_{layer}.safetensors") for layer in range(n_layers)}
    return load_transcoder_set(paths, **options)


if __name__ == "__main__":
    main()
