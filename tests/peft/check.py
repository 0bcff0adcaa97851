"""PEFT's own loader reads our adapters and gives our outputs; PEFT's own adapters, for us to read.

    RLHF_PYTHON=VENV/bin/python cargo test -p rlhf-tests peft

Each argument is a folder with `base` (a model), `ours` (adapters) and `ours.json` (`task`, `input_ids`, `expected`: the
logits of the last token, or the score). Into it go `theirs` (adapters of PEFT with random weights) and `theirs.json`.
Exit status 77 says that something to import is missing.
"""

import json
import sys
from pathlib import Path

try:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

TOLERANCE = 1e-4


def base_model(case: Path, task: str):
    if task == "SEQ_CLS":
        return AutoModelForSequenceClassification.from_pretrained(case / "base", num_labels=1).eval()
    return AutoModelForCausalLM.from_pretrained(case / "base").eval()


def outputs(model, task: str, sequences) -> list:
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([ids])).logits[0] for ids in sequences]
    return [(rows if task == "SEQ_CLS" else rows[-1]).tolist() for rows in logits]


def check(case: Path) -> None:
    ours = json.loads((case / "ours.json").read_text())
    task = ours["task"]
    model = PeftModel.from_pretrained(base_model(case, task), case / "ours").eval()
    found = torch.tensor(outputs(model, task, ours["input_ids"]))
    expected = torch.tensor(ours["expected"])
    error = (found - expected).abs().max().item()
    print(f"{case.name}: PEFT's outputs with our adapters are off by at most {error:.1e}")
    assert found.shape == expected.shape and error < TOLERANCE, case.name
    with model.disable_adapter():
        moved = (torch.tensor(outputs(model, task, ours["input_ids"])) - expected).abs().max().item()
    assert moved > 10 * TOLERANCE, f"{case.name}: adapters that do nothing"


def write(case: Path) -> None:
    ours = json.loads((case / "ours.json").read_text())
    task = ours["task"]
    torch.manual_seed(1)
    config = LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules="all-linear", task_type=task)
    model = get_peft_model(base_model(case, task), config).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(case / "theirs")
    theirs = {"expected": outputs(model, task, ours["input_ids"])}
    (case / "theirs.json").write_text(json.dumps(theirs))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        check(Path(argument))
        write(Path(argument))
