"""Renders conversations with transformers and the chat template that rlhf-data saves.

python generate.py DIR > cases.json, where DIR is a folder written by `Tokenizer::save`.
"""

import json
import sys

from transformers import AutoTokenizer

CONVERSATIONS = [
    [("user", "Who keeps the light?")],
    [("system", "Be brief."), ("user", " Why?\n")],
    [("user", "a"), ("assistant", "b\n"), ("user", "{{ c }} 'd' \"e\"")],
    [("user", "a"), ("assistant", "b")],
]

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
cases = []
for turns in CONVERSATIONS:
    messages = [{"role": role, "content": content} for role, content in turns]
    prompt = turns[-1][0] == "user"
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    cases.append({"messages": messages, "add_generation_prompt": prompt, "rendered": rendered})
result = {"eos_token": tokenizer.eos_token, "pad_token": tokenizer.pad_token, "chat_template": tokenizer.chat_template}
print(json.dumps(result | {"cases": cases}, indent=1))
