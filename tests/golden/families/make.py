"""Tiny random models of families that no fixture of `../models` covers, with what transformers computes of them.

    python make.py     # torch 2.9.0, transformers 5.23.0, safetensors; writes a folder for each case beside this script

Every weight is drawn, gains and biases too, so that none hides. The sums are float64: the model is cast, and so are the angles.
`expected.json` has `input_ids`, `logprobs[t]` = ln p(ids[t + 1] | ids[..= t]), and 8 greedy tokens after the first 6.
"""

import json
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

HERE = Path(__file__).parent
SIZES = dict(
    vocab_size=61,
    hidden_size=32,
    intermediate_size=44,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
CASES = {
    "phi3": dict(model_type="phi3", sliding_window=7, rope_theta=100.0),
    "phi3_longrope": dict(
        model_type="phi3",
        max_position_embeddings=128,
        original_max_position_embeddings=32,
        rope_scaling={"type": "longrope", "short_factor": [1.0, 1.3, 1.9, 2.5], "long_factor": [1.0, 2.0, 4.0, 9.0]},
        rope_theta=100.0,
    ),
    "smollm3": dict(model_type="smollm3", no_rope_layer_interval=2, rope_theta=100.0),
    "smollm3_windows": dict(
        model_type="smollm3", no_rope_layers=[1, 0, 1, 0], use_sliding_window=True, sliding_window=5, rope_theta=100.0
    ),
    "mistral": dict(model_type="mistral", sliding_window=6, rope_theta=100.0),
}


def main():
    for number, (name, changes) in enumerate(CASES.items()):
        torch.manual_seed(20261130 + number)
        fields = {**SIZES, **changes}
        config = AutoConfig.for_model(**fields)
        config._attn_implementation = "eager"
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                around = 1.0 if parameter.dim() == 1 else 0.0
                parameter.copy_(around + 0.3 * torch.randn_like(parameter))
        folder = HERE / name
        model.save_pretrained(folder)
        ids = [torch.randint(3, fields["vocab_size"], (length,)).tolist() for length in (30, 9, 2)]
        model = model.double()
        logprobs, greedy = [], []
        with torch.no_grad():
            for sequence in ids:
                logits = model(torch.tensor([sequence])).logits[0].double()
                chosen = logits.log_softmax(-1)[:-1].gather(1, torch.tensor(sequence[1:])[:, None])[:, 0]
                logprobs.append([round(x, 7) for x in chosen.tolist()])
            written = ids[0][:6]
            for _ in range(8):
                logits = model(torch.tensor([written])).logits[0, -1]
                first, second = logits.topk(2).values.tolist()
                assert first - second > 1e-3, "a tie"
                written.append(int(logits.argmax()))
            greedy = written[6:]
        expected = {"input_ids": ids, "logprobs": logprobs, "greedy_after": ids[0][:6], "greedy": greedy}
        (folder / "expected.json").write_text(json.dumps(expected) + "\n")
        print(name, round(min(min(x) for x in logprobs), 3))


if __name__ == "__main__":
    main()
