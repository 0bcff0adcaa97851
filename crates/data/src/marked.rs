//! Tokens as people read them: which of them are marked, and what each says.

use serde::{Serialize, Serializer};

use crate::tokenizer::Tokenizer;

/// Tokens, some of which are marked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MarkedTokens {
    /// Their text.
    pub text: String,
    /// The tokens.
    pub input_ids: Vec<u32>,
    /// True for those that are marked.
    #[serde(serialize_with = "as_numbers")]
    pub mask: Vec<bool>,
    /// The text of each.
    #[serde(skip)]
    pieces: Vec<String>,
    /// The text with `[[` and `]]` around what is marked.
    #[serde(skip)]
    marked: String,
}

fn as_numbers<S: Serializer>(mask: &[bool], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(mask.iter().map(|&is_marked| u8::from(is_marked)))
}

impl MarkedTokens {
    /// `input_ids` of this tokenizer; `mask` has an entry for each.
    ///
    /// # Panics
    /// If `mask` has another length.
    pub fn new(tokenizer: &Tokenizer, input_ids: Vec<u32>, mask: Vec<bool>) -> Self {
        assert_eq!(input_ids.len(), mask.len(), "a mark for each token");
        let mut marked = String::new();
        let mut start = 0;
        for run in mask.chunk_by(|a, b| a == b) {
            let ids = &input_ids[start..start + run.len()];
            let text = match start {
                0 => tokenizer.decode(ids, false),
                _ => tokenizer.decode_continuation(ids, false),
            };
            if run[0] {
                marked.push_str(&format!("[[{text}]]"))
            } else {
                marked.push_str(&text)
            }
            start += run.len();
        }
        Self {
            text: tokenizer.decode(&input_ids, false),
            pieces: input_ids.iter().map(|&id| piece(tokenizer, id)).collect(),
            input_ids,
            mask,
            marked,
        }
    }

    /// The text with `[[` and `]]` around what is marked.
    pub fn marked_text(&self) -> &str {
        &self.marked
    }

    /// A line for each token: its position, its id, `yes` if it is marked, and its text with line breaks and the like escaped.
    /// `heading` stands above the marks.
    pub fn table(&self, heading: &str) -> String {
        let width = heading.chars().count().max(3);
        let mut table = format!("position      id  {heading:<width$}  text\n");
        for (position, ((id, mark), piece)) in self.input_ids.iter().zip(&self.mask).zip(&self.pieces).enumerate() {
            let mark = if *mark { "yes" } else { "-" };
            table.push_str(&format!("{position:>8} {id:>7}  {mark:<width$}  {piece:?}\n"));
        }
        table
    }
}

/// The text of one token; of a part of a character as the vocabulary spells it.
fn piece(tokenizer: &Tokenizer, id: u32) -> String {
    let text = tokenizer.decode_continuation(&[id], false);
    if text.contains(char::REPLACEMENT_CHARACTER) || text.is_empty() {
        tokenizer.id_to_token(id).unwrap_or_default()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::TokenizerConfig;

    #[test]
    fn what_is_marked_can_be_seen_without_colours() {
        let config = TokenizerConfig {
            vocab_size: 261,
            min_frequency: 2,
        };
        // No merges: one token a byte, after five special ones.
        let tokenizer = Tokenizer::train(["x"], &config).unwrap();
        let ids = [tokenizer.encode("a\né"), vec![tokenizer.eos_token_id()]].concat();
        let tokens = MarkedTokens::new(&tokenizer, ids.clone(), vec![false, false, true, true, true]);
        assert_eq!(tokens.text, "a\né<|eos|>");
        assert_eq!(tokens.marked_text(), "a\n[[é<|eos|>]]");
        let lines: Vec<String> = tokens.table("learnt").lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "position      id  learnt  text");
        assert_eq!(lines[2], format!("       1 {:>7}  -       \"\\n\"", ids[1]));
        // Half of a character, as the vocabulary has it.
        assert_eq!(lines[3], format!("       2 {:>7}  yes     \"Ã\"", ids[2]));
        assert_eq!(lines[5], format!("       4 {:>7}  yes     \"<|eos|>\"", ids[4]));
        let json = serde_json::to_value(&tokens).unwrap();
        assert_eq!(json["mask"], serde_json::json!([0, 0, 1, 1, 1]));
        assert_eq!(json.as_object().unwrap().len(), 3);
    }
}
