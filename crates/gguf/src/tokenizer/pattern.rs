//! How byte-level BPE cuts a text before it merges: the patterns that both spellings have a name for.

use serde_json::{Value, json};

/// Cuts that are known in both spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// GPT-2's.
    Gpt2,
    /// Each digit alone, then GPT-2's.
    Digits,
    /// Llama 3's: up to three digits; a piece that is a token is not merged.
    Llama3,
    /// Qwen2's: Llama 3's with each digit alone, and merged.
    Qwen2,
}

/// Llama 3's pattern with `DIGITS` for its digits.
const LLAMA3: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Names in `tokenizer.ggml.pre`, the one that is written first; llama.cpp treats those of a line alike.
const NAMES: [(Pattern, &[&str]); 4] = [
    (Pattern::Gpt2, &["gpt-2", "phi-2", "mpt", "olmo"]),
    (Pattern::Digits, &["smollm", "starcoder", "refact"]),
    (Pattern::Llama3, &["llama-bpe", "llama3", "llama-v3"]),
    (Pattern::Qwen2, &["qwen2", "deepseek-r1-qwen"]),
];

impl Pattern {
    /// The pattern of this name in `tokenizer.ggml.pre`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(_, names)| names.contains(&name));
        found.map(|(pattern, _)| *pattern)
    }

    /// The name in `tokenizer.ggml.pre`.
    pub(super) fn name(self) -> &'static str {
        NAMES[self as usize].1[0]
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        NAMES.map(|(_, names)| names.join(", ")).join(", ")
    }

    /// True if a piece that is a token as it stands is taken without merging.
    pub(super) fn ignores_merges(self) -> bool {
        self == Self::Llama3
    }

    /// The regular expression, where there is one that says all.
    fn regex(self) -> Option<String> {
        match self {
            Self::Gpt2 => Some(GPT2.to_owned()),
            Self::Digits => None,
            Self::Llama3 => Some(LLAMA3.replace("DIGITS", r"\p{N}{1,3}")),
            Self::Qwen2 => Some(LLAMA3.replace("DIGITS", r"\p{N}")),
        }
    }

    /// `pre_tokenizer` of `tokenizer.json`.
    pub(super) fn to_json(self) -> Value {
        let level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        match self {
            Self::Gpt2 => level(true),
            Self::Digits => json!({"type": "Sequence", "pretokenizers": [
                {"type": "Digits", "individual_digits": true},
                level(true),
            ]}),
            Self::Llama3 | Self::Qwen2 => json!({"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": self.regex()}, "behavior": "Isolated", "invert": false},
                level(false),
            ]}),
        }
    }

    /// The pattern that a `pre_tokenizer` of `tokenizer.json` spells, or what it is instead.
    pub(super) fn from_json(json: &Value) -> Result<Self, String> {
        let steps = match json["pretokenizers"].as_array() {
            Some(steps) if json["type"] == "Sequence" => steps.iter().collect(),
            _ => vec![json],
        };
        let steps: Vec<Step> = steps.into_iter().map(Step::from_json).collect();
        let found = match &steps[..] {
            [Step::Level { regex: true }] => Some(Self::Gpt2),
            [Step::Digits, Step::Level { regex: true }] => Some(Self::Digits),
            [Step::Split(regex), Step::Level { regex: false }] => [Self::Gpt2, Self::Llama3, Self::Qwen2]
                .into_iter()
                .find(|pattern| pattern.regex().as_ref() == Some(regex)),
            _ => None,
        };
        found.ok_or_else(|| {
            let shown: String = json.to_string().chars().take(300).collect();
            format!("{shown}, expected the way of GPT-2, SmolLM, Llama 3 or Qwen2 to cut a text")
        })
    }
}

/// A step of a `pre_tokenizer`.
enum Step {
    Level { regex: bool },
    Digits,
    Split(String),
    Other,
}

impl Step {
    fn from_json(json: &Value) -> Self {
        let flag = |name: &str, default: bool| json[name].as_bool().unwrap_or(default);
        match json["type"].as_str() {
            Some("ByteLevel") if !flag("add_prefix_space", true) => Self::Level {
                regex: flag("use_regex", true),
            },
            Some("Digits") if flag("individual_digits", false) => Self::Digits,
            Some("Split") if json["behavior"] == "Isolated" && !flag("invert", false) => {
                // `\p{N}` cut out alone is what the step `Digits` does.
                match json["pattern"]["Regex"].as_str() {
                    Some(r"\p{N}") => Self::Digits,
                    Some(regex) => Self::Split(regex.to_owned()),
                    None => Self::Other,
                }
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_is_found_by_its_names_and_its_json() {
        for (place, (pattern, names)) in NAMES.into_iter().enumerate() {
            assert_eq!(pattern as usize, place);
            assert!(names.iter().all(|name| Pattern::from_name(name) == Some(pattern)));
            assert_eq!(Pattern::from_json(&pattern.to_json()), Ok(pattern));
        }
    }

    #[test]
    fn another_way_to_cut_is_refused_with_what_it_is() {
        for json in [
            json!(null),
            json!({"type": "Metaspace"}),
            json!({"type": "ByteLevel", "add_prefix_space": true}),
            json!({"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated", "invert": false},
                {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
            ]}),
        ] {
            let message = Pattern::from_json(&json).expect_err("another");
            assert!(message.contains("expected the way of GPT-2"), "{message}");
        }
    }
}
