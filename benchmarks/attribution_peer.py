"""What circuit-tracer takes for the same graph, in an environment of its own.

Run by `benchmarks/attribution.py --peer PYTHON`. Its folder holds the Hugging Face model and the transcoders,
and gets the features, edges and token ids that the peer found. The model is handed to TransformerLens as a
configuration and weights, so that nothing needs a name on a hub.
"""

import json
import sys
import time
from pathlib import Path

import torch
from circuit_tracer.attribution import attribute
from circuit_tracer.replacement_model import ReplacementModel
from circuit_tracer.transcoder.single_layer_transcoder import SingleLayerTranscoder
from safetensors.torch import load_file, save_file
from transformer_lens import HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_llama_weights
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    folder = Path(settings["folder"])
    model = opened(folder)
    Path("/proc/self/clear_refs").write_text("5")  # the largest size begins anew
    before = largest()
    start = time.process_time()
    graph = attribute(
        torch.tensor(settings["ids"]),
        model,
        batch_size=settings["batch"],
        max_feature_nodes=settings["nodes"],
    )
    seconds = time.process_time() - start
    grown = (largest() - before) / 1e3
    found = {
        "features": graph.active_features[graph.selected_features].contiguous(),
        "adjacency": graph.adjacency_matrix.contiguous(),
    }
    save_file(found, folder / "peer.safetensors")
    print(json.dumps({"seconds": seconds, "megabytes": grown}))


def largest() -> int:
    """The largest resident size of this process, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def opened(folder: Path) -> ReplacementModel:
    hf = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    one = hf.config
    config = HookedTransformerConfig(
        n_layers=one.num_hidden_layers,
        d_model=one.hidden_size,
        d_head=one.head_dim,
        n_heads=one.num_attention_heads,
        n_key_value_heads=one.num_key_value_heads,
        d_mlp=one.intermediate_size,
        d_vocab=one.vocab_size,
        n_ctx=one.max_position_embeddings,
        eps=one.rms_norm_eps,
        act_fn="silu",
        gated_mlp=True,
        normalization_type="RMS",
        final_rms=True,
        positional_embedding_type="rotary",
        rotary_base=int(one.rope_theta),
        rotary_dim=one.head_dim,
        rotary_adjacent_pairs=False,
        original_architecture="LlamaForCausalLM",
        device="cpu",
    )
    transcoders = {}
    for layer in range(config.n_layers):
        weights = load_file(folder / f"layer_{layer}.safetensors")
        latents, width = weights["W_enc"].shape
        each = SingleLayerTranscoder(width, latents, torch.nn.functional.relu, layer)
        each.W_enc.data, each.b_enc.data = weights["W_enc"].T.contiguous(), weights["b_enc"]
        each.W_dec.data = weights["W_dec"]
        transcoders[layer] = each
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "model" / "tokenizer.json"),
        bos_token="w1",
        eos_token="w1",
        pad_token="w0",
    )
    tokenizer.init_kwargs |= {"name_or_path": "", "add_bos_token": True}  # or it is looked for on a hub
    model = ReplacementModel.from_config(config, transcoders, tokenizer=tokenizer)
    state = convert_llama_weights(hf, config)
    state = {
        name.replace(".mlp.", ".mlp.old_mlp.").replace("unembed.", "unembed.old_unembed."): value
        for name, value in state.items()
    }
    missing, unknown = model.load_state_dict(state, strict=False)
    lost = [
        name
        for name in missing
        if name.rsplit(".", 1)[-1] not in ("mask", "IGNORE", "rotary_sin", "rotary_cos")
    ]
    lost = [name for name in lost if not name.startswith("transcoders.")]
    assert not unknown, unknown
    assert not [name for name in lost if ".b_" not in name and "_b_" not in name], lost
    return model.eval()


if __name__ == "__main__":
    main()
