"""transformers reads what we saved and gives our outputs.

    RLHF_PYTHON=VENV/bin/python cargo test -p rlhf-tests transformers -- --nocapture

Each argument is a folder with a model and `ours.json` (`task`, `input_ids`, `expected`: the logits of every token, row after
row, or the score). Exit status 77 says that something to import is missing.
"""

import json
import sys
from pathlib import Path

try:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

TOLERANCE = 1e-4


def load(case: Path, task: str):
    if task == "SEQ_CLS":
        return AutoModelForSequenceClassification.from_pretrained(case, num_labels=1).eval()
    return AutoModelForCausalLM.from_pretrained(case).eval()


def main(cases: list[str]) -> int:
    failed = []
    for case in map(Path, cases):
        ours = json.loads((case / "ours.json").read_text())
        model = load(case, ours["task"])
        worst = 0.0
        for ids, expected in zip(ours["input_ids"], ours["expected"]):
            with torch.no_grad():
                found = model(input_ids=torch.tensor([ids])).logits.flatten()
            expected = torch.tensor(expected)
            assert found.shape == expected.shape, (case.name, found.shape, expected.shape)
            worst = max(worst, (found - expected).abs().max().item())
        print(f"{case.name}: off by at most {worst:.1e}")
        if not worst < TOLERANCE:
            failed.append(case.name)
    if failed:
        print(f"more than {TOLERANCE} off: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
