"""Folders of models whose files disagree about the tokenizer, and what transformers makes of them; see README.md."""

import json
import os
import shutil
import tempfile

from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
PLAIN = os.path.join(HERE, "..", "tokenizer")
TURNS = ["<|im_start|>", "<|im_end|>"]
FLAGS = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
TALK = "<|im_start|>user\nTwo and two?<|im_end|>\n"
PIECE = lambda kind, name: {kind: {"id": name, "type_id": 0}}
BOS = {
    "type": "TemplateProcessing",
    "single": [PIECE("SpecialToken", "<s>"), PIECE("Sequence", "A")],
    "pair": [PIECE("Sequence", "A"), PIECE("Sequence", "B")],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [10], "tokens": ["<s>"]}},
}


def token(content, **flags):
    return {"content": content, **FLAGS, **flags}


def decoder(*tokens):
    return {str(index): content if isinstance(content, dict) else token(content) for index, content in tokens}


# name: (tokens that tokenizer.json lacks, tokens that it has as ordinary ones, fields of it, files beside it, texts)
CASES = {
    "additional": (TURNS, [], {}, {"tokenizer_config.json": {"additional_special_tokens": TURNS}}, [TALK]),
    "extra_list": (TURNS, [], {}, {"tokenizer_config.json": {"extra_special_tokens": TURNS}}, [TALK]),
    "extra_named": (TURNS, [], {}, {"tokenizer_config.json": {"extra_special_tokens": {"a_token": TURNS[0], "b_token": TURNS[1]}}}, [TALK]),
    "own_role": (TURNS, [], {}, {"tokenizer_config.json": {"turn_token": TURNS[0]}}, [TALK]),
    "map": (TURNS, [], {}, {"special_tokens_map.json": {"additional_special_tokens": TURNS}}, [TALK]),
    "added_tokens": (TURNS, [], {}, {"added_tokens.json": {TURNS[1]: 601, TURNS[0]: 600}}, [TALK]),
    "decoder": (TURNS, [], {}, {"tokenizer_config.json": {"added_tokens_decoder": decoder((600, TURNS[0]), (601, TURNS[1]))}}, [TALK]),
    "decoder_of_known": ([], TURNS, {}, {"tokenizer_config.json": {"added_tokens_decoder": decoder((1, TURNS[0]), (2, TURNS[1]))}}, [TALK]),
    "decoder_beside_added_tokens": (
        TURNS,
        [],
        {},
        {"tokenizer_config.json": {"added_tokens_decoder": decoder((0, "<|endoftext|>"))}, "added_tokens.json": {TURNS[0]: 600}},
        [TALK],
    ),
    "decoder_strips": (
        [],
        [],
        {},
        {"tokenizer_config.json": {"added_tokens_decoder": decoder((1, token(TURNS[0], rstrip=True)), (2, token(TURNS[1], lstrip=True)))}},
        ["<|im_start|>\n\n a \n<|im_end|>"],
    ),
    "named_in_order": (
        [],
        [],
        {},
        {"tokenizer_config.json": {"mask_token": "[MASK]", "pad_token": "[PAD]", "bos_token": "[BOS]"}},
        ["[PAD][MASK][BOS]"],
    ),
    "bos_of_the_post_processor": ([], [], {"post_processor": BOS}, {}, ["Two and two?", ""]),
    "bos_of_a_sequence": (
        [],
        [],
        {"post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}, BOS]}},
        {},
        ["Two and two?"],
    ),
    "post_processor_decides": ([], [], {"post_processor": BOS}, {"tokenizer_config.json": {"add_bos_token": False}}, ["Two and two?"]),
    "no_post_processor": ([], [], {"post_processor": None}, {"tokenizer_config.json": {"add_bos_token": True}}, ["Two and two?"]),
    "bytes_without_token": (
        ["\u0104", "\u00f1", "\u00f6"],
        [],
        {},
        {},
        ["a\u0004b", "Hello \U00040000 there", "\u0004", "Two and two?"],
    ),
    "nfc": ([], [], {"normalizer": {"type": "NFC"}}, {}, ["cafe\u0301 au lait", "caf\u00e9"]),
    "lowercase": ([], [], {"normalizer": {"type": "Lowercase"}}, {}, ["Two AND two?", "two"]),
}


def folder(lacks, ordinary, fields, files):
    out = tempfile.mkdtemp()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(PLAIN, name), out)
    path = os.path.join(out, "tokenizer.json")
    with open(path, encoding="utf-8") as file:
        read = json.load(file)
    spare = {name: f"<|spare_{number}|>" for number, name in enumerate(lacks)}
    read["model"]["vocab"] = {spare.get(name, name): index for name, index in read["model"]["vocab"].items()}
    read["added_tokens"] = [t for t in read["added_tokens"] if t["content"] not in [*lacks, *ordinary]]
    read.update(fields)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(read, file)
    for name, more in files.items():
        path = os.path.join(out, name)
        old = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                old = json.load(file)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**old, **more}, file)
    return out


def main():
    cases = []
    for name, (lacks, ordinary, fields, files, texts) in CASES.items():
        place = folder(lacks, ordinary, fields, files)
        tokenizer = AutoTokenizer.from_pretrained(place)
        ids = [{"text": t, "ids": tokenizer(t)["input_ids"], "decoded": tokenizer.decode(tokenizer(t, add_special_tokens=False)["input_ids"], skip_special_tokens=False)} for t in texts]
        cases.append({"name": name, "lacks": lacks, "ordinary": ordinary, "fields": fields, "files": files, "vocab_size": len(tokenizer), "texts": ids})
        shutil.rmtree(place)
    with open(os.path.join(HERE, "cases.json"), "w", encoding="utf-8") as file:
        json.dump(cases, file, ensure_ascii=True, indent=1)
        file.write("\n")


main()
