"""Writes what fuzzing starts from into `fuzz/corpus/TARGET/`: small sound files, and those of `tests/golden/`.

    python3 fuzz/seeds.py
"""

import copy
import gzip
import json
import struct
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
GOLDEN = FUZZ.parent / "tests" / "golden"
SEPARATOR = b"\n=====\n"
BYTES = {"F32": 4, "F16": 2, "BF16": 2}


def put(target, name, kind, *files):
    """One seed: the byte that says what it is, and its files."""
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(kind.encode() + SEPARATOR.join(as_bytes(file) for file in files))


def as_bytes(file):
    if isinstance(file, bytes):
        return file
    return (file if isinstance(file, str) else json.dumps(file, ensure_ascii=False)).encode()


# Weights.


def safetensors(shapes, dtype="F32", metadata=None):
    header, end = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, shape in shapes.items():
        size = BYTES[dtype]
        for dim in shape:
            size *= dim
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(index % 61 for index in range(end))


def gpt2(prefix="transformer."):
    block = {
        "ln_1.weight": [4], "ln_1.bias": [4], "attn.c_attn.weight": [4, 12], "attn.c_attn.bias": [12],
        "attn.c_proj.weight": [4, 4], "attn.c_proj.bias": [4], "ln_2.weight": [4], "ln_2.bias": [4],
        "mlp.c_fc.weight": [4, 16], "mlp.c_fc.bias": [16], "mlp.c_proj.weight": [16, 4], "mlp.c_proj.bias": [4],
    }  # fmt: skip
    trunk = {"wte.weight": [5, 4], "wpe.weight": [4, 4], "ln_f.weight": [4], "ln_f.bias": [4]}
    trunk |= {f"h.0.{name}": shape for name, shape in block.items()}
    return {prefix + name: shape for name, shape in trunk.items()}


def llama():
    block = {
        "input_layernorm.weight": [4], "self_attn.q_proj.weight": [4, 4], "self_attn.k_proj.weight": [2, 4],
        "self_attn.v_proj.weight": [2, 4], "self_attn.o_proj.weight": [4, 4], "post_attention_layernorm.weight": [4],
        "mlp.gate_proj.weight": [4, 4], "mlp.up_proj.weight": [4, 4], "mlp.down_proj.weight": [4, 4],
    }  # fmt: skip
    trunk = {"embed_tokens.weight": [5, 4], "norm.weight": [4]}
    trunk |= {f"layers.0.{name}": shape for name, shape in block.items()}
    return {"model." + name: shape for name, shape in trunk.items()} | {"lm_head.weight": [5, 4]}


def gpt_neox():
    block = {
        "input_layernorm.weight": [8], "input_layernorm.bias": [8], "attention.query_key_value.weight": [24, 8],
        "attention.query_key_value.bias": [24], "attention.dense.weight": [8, 8], "attention.dense.bias": [8],
        "post_attention_layernorm.weight": [8], "post_attention_layernorm.bias": [8],
        "mlp.dense_h_to_4h.weight": [4, 8], "mlp.dense_h_to_4h.bias": [4], "mlp.dense_4h_to_h.weight": [8, 4],
        "mlp.dense_4h_to_h.bias": [8],
    }  # fmt: skip
    trunk = {"embed_in.weight": [5, 8], "final_layer_norm.weight": [8], "final_layer_norm.bias": [8]}
    trunk |= {f"layers.0.{name}": shape for name, shape in block.items()}
    return {"gpt_neox." + name: shape for name, shape in trunk.items()} | {"embed_out.weight": [5, 8]}


def adapters():
    layers = {"attn.c_attn": (4, 12), "mlp.c_proj": (16, 4)}
    name = "base_model.model.transformer.h.0.{}.lora_{}.weight"
    return {name.format(layer, "A"): [1, size[0]] for layer, size in layers.items()} | {
        name.format(layer, "B"): [size[1], 1] for layer, size in layers.items()
    }


def weights():
    for dtype in BYTES:
        put("safetensors", f"gpt2-{dtype}", "g", safetensors(gpt2(), dtype, {"format": "pt"}))
        put("safetensors", f"llama-{dtype}", "l", safetensors(llama(), dtype))
        put("safetensors", f"neox-{dtype}", "n", safetensors(gpt_neox(), dtype))
    old = gpt2("") | {"h.0.attn.bias": [1, 1, 4, 4]}
    put("safetensors", "gpt2-old", "g", safetensors(old))
    put("safetensors", "any", "t", safetensors({"a": [2, 0], "b": [], "c": [3]}, "F16"))
    reward = gpt2() | {"score.weight": [1, 4]}
    put("safetensors", "reward", "r", safetensors(reward))
    put("safetensors", "reward-bias", "r", safetensors(reward | {"score.bias": [1]}))
    put("safetensors", "adapters", "a", safetensors(adapters()))
    names = list(gpt2().items())
    parts = [dict(names[:8]), dict(names[8:])]
    index = {"weight_map": {name: f"{file}.safetensors" for file, part in zip("ab", parts) for name in part}}
    put("safetensors", "sharded", "i", index, *map(safetensors, parts))


# Configurations.

SCALINGS = [
    {"rope_type": "linear", "factor": 2.0},
    {"type": "dynamic", "factor": 2.0},
    {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
     "original_max_position_embeddings": 16},
    {"rope_type": "yarn", "factor": 4.0, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 0.5,
     "truncate": False, "attention_factor": 1.2, "original_max_position_embeddings": 16},
]  # fmt: skip
MODELS = {"gpt2": "g", "gpt2_reward": "r", "gpt_neox": "n", "llama_tied": "l", "qwen2": "2", "qwen3": "3"}


def configs():
    for model, kind in MODELS.items():
        for file in ["config.json", "config_v4.json"]:
            text = (GOLDEN / "models" / model / file).read_text()
            config = json.loads(text)
            put("config", f"{model}-{file}", kind, text)
            if "max_position_embeddings" not in config:
                continue
            for number, scaling in enumerate(SCALINGS):
                scaled = copy.deepcopy(config)
                scaled["rope_scaling"] = scaling
                scaled.pop("rope_parameters", None)
                put("config", f"{model}-{file}-{number}", kind, scaled)
                scaled["rope_parameters"] = scaling | {"rope_theta": 10000.0}
                put("config", f"{model}-{file}-5-{number}", kind, scaled)
            window = config | {"use_sliding_window": True, "sliding_window": 2, "max_window_layers": 1}
            put("config", f"{model}-{file}-window", kind, window)
            window["layer_types"] = ["sliding_attention", "full_attention"]
            put("config", f"{model}-{file}-layers", kind, window)
    mistral = json.loads((GOLDEN / "models/llama_tied/config_v4.json").read_text())
    put("config", "mistral", "l", mistral | {"model_type": "mistral", "sliding_window": 2})
    put("config", "generation", "e", {"eos_token_id": [2, 5], "temperature": 0.6})
    adapter = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 1, "lora_alpha": 16, "bias": "none", "use_rslora": True,
        "target_modules": ["c_attn", "c_proj", "c_fc"], "init_lora_weights": True, "modules_to_save": None,
        "base_model_name_or_path": "base", "use_dora": False, "rank_pattern": {}, "alpha_pattern": {},
    }  # fmt: skip
    put("config", "adapter", "a", adapter)


# Tokenizers.


def byte_letters():
    """The letters that byte-level BPE has for the bytes, in the order of the bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


EOS = {"eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}
CHAT = "{% for m in messages %}{{ m.role + m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}a{% endif %}"


def added(content, id):
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False)
    return {"id": id, "content": content, "special": True} | flags


def whole(model, special, **parts):
    start = dict.fromkeys(["truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"])
    tokens = [added(token, id) for token, id in special.items()]
    return {"version": "1.0"} | start | parts | {"added_tokens": tokens, "model": model}


def byte_level():
    vocab = {letter: id for id, letter in enumerate(byte_letters())}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the")]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    return vocab, merges


def byte_fallback():
    """Llama's way in a `tokenizer.json`: spaces become letters, what no piece spells becomes bytes."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    for piece in ["▁", "t", "h", "e", "▁t", "he", "▁the"]:
        vocab[piece] = len(vocab)
    model = {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
             "vocab": vocab, "merges": ["▁ t", "h e", "▁t he"]}  # fmt: skip
    normalizers = [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
    decoders = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]  # fmt: skip
    return whole(
        model,
        {"<unk>": 0, "<s>": 1, "</s>": 2},
        normalizer={"type": "Sequence", "normalizers": normalizers},
        decoder={"type": "Sequence", "decoders": decoders},
    )


def unigram():
    pieces = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0]] + [[f"<0x{byte:02X}>", -9.0] for byte in range(256)]
    pieces += [[piece, -float(place)] for place, piece in enumerate(["▁", "the", "t", "h", "e"])]
    model = {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": True}
    decoders = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    special = {"<unk>": 0, "<s>": 1, "</s>": 2}
    return whole(model, special, normalizer=replace, decoder={"type": "Sequence", "decoders": decoders})


def pieces():
    found = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    found += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    return found + [(piece, -float(score), 1) for score, piece in enumerate(["▁t", "he", "▁the", "▁", "t", "h", "e"])]


def message(tag, content):
    return bytes([tag << 3 | 2, len(content)]) + content


def sentencepiece():
    file = b""
    for text, score, kind in pieces():
        file += message(1, message(1, text.encode()) + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind]))
    return file + message(2, bytes([0x18, 2])) + message(3, bytes([0x20, 0]))


def llama2c():
    file = struct.pack("<I", 7)
    for text, score, kind in pieces():
        text = f"\n{text}\n" if kind == 3 else text.replace("▁", " ")
        file += struct.pack("<fI", score, len(text.encode())) + text.encode()
    return file


def tokenizers():
    vocab, merges = byte_level()
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = {"</s>": len(vocab), "<s>": len(vocab) + 1, "<unk>": len(vocab) + 2}
    model = {"type": "BPE", "vocab": vocab, "merges": [" ".join(pair) for pair in merges]}
    split = {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}| ?\p{L}+|\s+(?!\S)|\s+|."}, "behavior": "Isolated", "invert": False}
    cut = {"type": "Sequence", "pretokenizers": [split, level | {"use_regex": False}]}
    after = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
             "special_tokens": {"<s>": {"id": "<s>", "ids": [special["<s>"]], "tokens": ["<s>"]}}}  # fmt: skip
    config = EOS | {"chat_template": CHAT}
    put("tokenizer", "level", "j", whole(model, special, pre_tokenizer=level, decoder=level, post_processor=level), config)
    put("tokenizer", "split", "j", whole(model, special, pre_tokenizer=cut, decoder=level, post_processor=after), config)
    put("tokenizer", "named", "j", whole(model, special, pre_tokenizer=level, decoder=level), "{}", EOS)
    components(level, model, special, config)
    put("tokenizer", "fallback", "j", byte_fallback(), config)
    put("tokenizer", "unigram", "j", unigram(), config)
    golden = GOLDEN / "tokenizer"
    put("tokenizer", "golden", "j", *((golden / name).read_bytes() for name in ["tokenizer.json", "tokenizer_config.json"]))
    lines = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)
    decoder = {str(id): added(token, id) for token, id in special.items()}
    put("tokenizer", "vocab", "v", vocab, lines, config | {"added_tokens_decoder": decoder})
    put("tokenizer", "added", "v", vocab, lines, config | {"tokenizer_class": "GPT2Tokenizer"}, special)
    put("tokenizer", "sentencepiece", "s", sentencepiece(), config)
    put("tokenizer", "llama2c", "l", llama2c(), config)
    put("tokenizer", "eos", "c", sentencepiece(), {"eos_token_id": [2, 5]}, {"eos_token_id": 2})


COMPONENTS = {
    "normalizer": [
        {"type": "NFC"}, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"}, {"type": "Nmt"}, {"type": "Lowercase"},
        {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "StripAccents"}, {"type": "ByteLevel"},
        {"type": "Replace", "pattern": {"Regex": "(?=a)"}, "content": ""}, {"type": "Prepend", "prepend": "x"},
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        {"type": "Precompiled", "precompiled_charsmap": "ALQCAACEAAAAAACAAQAAgMz8AgC4BQAA"},
        {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"String": ""}, "content": "y"}]},
    ],
    "pre_tokenizer": [
        {"type": "BertPreTokenizer"}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "UnicodeScripts"},
        {"type": "CharDelimiterSplit", "delimiter": "x"}, {"type": "FixedLength", "length": 3},
        {"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "Contiguous"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        {"type": "Split", "pattern": {"Regex": "(a*)*b|"}, "behavior": "MergedWithPrevious", "invert": True},
        {"type": "Split", "pattern": {"String": ""}, "behavior": "MergedWithNext", "invert": False},
    ],
    "decoder": [
        {"type": "BPEDecoder", "suffix": "</w>"}, {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "Fuse"},
        {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}, {"type": "ByteFallback"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
        {"type": "Strip", "content": "x", "start": 1, "stop": 1}, {"type": "Replace", "pattern": {"Regex": "^"}, "content": "x"},
    ],
    "post_processor": [
        {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]},
        {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": True},
        {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}]},
    ],
    "padding": [{"strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": 0, "pad_id": 7, "pad_type_id": 0, "pad_token": "</s>"}],
    "truncation": [{"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 9}],
}  # fmt: skip


def components(level, model, special, config):
    """Byte-level BPE with each other part that a file may name: beside its own where there is one, and in its place."""
    own = {"pre_tokenizer": level, "decoder": level}
    lists = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}
    for place, choices in COMPONENTS.items():
        for number, choice in enumerate(choices):
            put("tokenizer", f"{place}-{number}", "j", whole(model, special, **(own | {place: choice})), config)
            if place in own:
                both = {"type": "Sequence", lists[place]: [choice, level]}
                put("tokenizer", f"{place}-{number}-too", "j", whole(model, special, **(own | {place: both})), config)
    fields = {"continuing_subword_prefix": "##", "end_of_word_suffix": "</w>", "dropout": 0.5, "unk_token": "<unk>"}
    for name, value in fields.items():
        put("tokenizer", name, "j", whole(model | {name: value}, special, **own), config)
    words = {"type": "WordLevel", "vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"}
    put("tokenizer", "words", "j", whole(words, {"</s>": 2}), config)
    put("tokenizer", "word-pieces", "j", whole(words | {"type": "WordPiece", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100}, {"</s>": 2}), config)  # fmt: skip


# Templates and rows.


def templates():
    for path in (GOLDEN / "chat" / "templates").iterdir():
        put("template", path.name, "", path.read_text())
    put("template", "tokenizer", "", (GOLDEN / "tokenizer" / "chat_template.jinja").read_text())
    for number, source in enumerate(sorted(sources(json.loads((GOLDEN / "chat_features" / "cases.json").read_text())))):
        put("template", f"feature-{number}", "", source)


def sources(value):
    """Every text in a fixture that looks like Jinja."""
    if isinstance(value, str):
        return {value} if "{{" in value or "{%" in value else set()
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return set().union(*map(sources, children))


ROWS = [
    {"prompt": "a?", "completion": "b", "id": 1, "task": {"kind": "x"}},
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    {"prompt": "a", "chosen": "b", "rejected": "c", "margin": 0.5, "confidence": 1, "labeler": "x"},
    {"prompt": [{"role": "user", "content": "a"}], "completions": ["b", "c", "d"], "ranking": [0, 1, 1]},
    {"prompt": "a", "completion": "b", "label": True},
    {"prompt": "a", "completion": "c", "label": False},
    {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
    {"text": "one\n\ntwo"},
    {"question": "a", "answer": "b"},
]


def rows():
    lines = "\n".join(map(json.dumps, ROWS))
    for number, row in enumerate(ROWS):
        put("rows", f"line-{number}", "l", row)
        put("rows", f"array-{number}", "a", [row, row])
    put("rows", "lines", "l", lines)
    put("rows", "text", "t", "one\n\ntwo\n\n\nthree <|endoftext|> four")
    put("rows", "zipped", "z", gzip.compress(lines.encode(), mtime=0))
    for path in (GOLDEN / "parquet").glob("*.parquet"):
        put("rows", path.name, "p", path.read_bytes())


def gguf():
    """Files of some 16 KB: longer ones are mutated where nothing is checked."""
    paths = [*(GOLDEN / "gguf").glob("odd-*.gguf"), *(GOLDEN / "gguf" / "damaged").glob("*.gguf")]
    for path in paths:
        put("gguf", path.stem, "f", path.read_bytes())
    types = json.loads((GOLDEN / "gguf" / "blocks.json").read_text())["types"]
    for place, name in enumerate(["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]):
        for number, block in enumerate(types.get(name, {"blocks": []})["blocks"]):
            put("gguf", f"{name}-{number}", "b", bytes([place]) + bytes.fromhex(block["hex"]))


for write in [weights, configs, tokenizers, templates, rows, gguf]:
    write()
