//! Texts that are encoded in pieces, so that no token spans the place where a prompt ends and an answer begins.
//!
//! When a model answers it is given the tokens of the prompt alone, and what it says comes after them. Encoded as a whole, the end
//! of the prompt and the beginning of the answer may share a token, which the model never sees when it answers.

use super::{ANCHOR, Tokenizer};

/// The tokens of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    pub(super) ids: Vec<u32>,
    /// The bytes of the text that each token spells.
    pub(super) spans: Vec<(usize, usize)>,
    /// The places in the text at which it was cut, and the number of tokens before each.
    pub(super) cuts: Vec<(usize, usize)>,
}

impl Pieces {
    /// Adds the tokens of more text, `shift` bytes into the whole.
    fn append(&mut self, ids: &[u32], spans: &[(usize, usize)], shift: usize) {
        self.ids.extend_from_slice(ids);
        self.spans
            .extend(spans.iter().map(|&(start, end)| (start + shift, end + shift)));
    }
}

impl Tokenizer {
    /// The tokens of a text whose special tokens are meant, cut at `seams`, which ascend: each piece is what is to follow the text
    /// before it.
    pub(super) fn cut(&self, text: &str, seams: &[usize]) -> Pieces {
        let ends: Vec<usize> = seams.iter().copied().chain([text.len()]).collect();
        let mut out = self.spanned(&text[..ends[0]]);
        // Of the text so far as a whole, where its beginning is written in a way of its own.
        let mut before = out.ids.clone();
        for range in ends.windows(2) {
            let (start, end) = (range[0], range[1]);
            out.cuts.push((start, out.ids.len()));
            if self.anchor.is_some() {
                let whole = self.spanned(&text[..end]);
                match whole.ids.strip_prefix(&*before) {
                    Some(rest) => out.append(rest, &whole.spans[before.len()..], 0),
                    None => self.append_continuation(&mut out, text, start, end),
                }
                before = whole.ids;
            } else {
                self.append_continuation(&mut out, text, start, end);
            }
        }
        out
    }

    fn append_continuation(&self, out: &mut Pieces, text: &str, start: usize, end: usize) {
        let piece = self.continuation(&text[start..end]);
        out.append(&piece.ids, &piece.spans, start);
    }

    /// The tokens of `answer`, by which `whole` is longer than `before`. Tokenizers that write the beginning of a text in a
    /// way of its own may count the end of `before` as such, after a special token; what they do with the whole decides.
    pub(super) fn encode_answer(&self, before: &str, whole: &str, answer: &str) -> Vec<u32> {
        if self.anchor.is_some() {
            let [before, whole] = [before, whole].map(|text| self.encode_with_special_tokens(text));
            if let Some(rest) = whole.strip_prefix(&*before) {
                return rest.to_vec();
            }
        }
        self.continuation(answer).ids
    }

    /// The tokens of a text that follows another one: without the space that some tokenizers put before a text.
    fn continuation(&self, text: &str) -> Pieces {
        let Some(anchor) = &self.anchor else {
            return self.spanned(text);
        };
        let anchored = self.spanned(&format!("{ANCHOR}{text}"));
        // A text that begins with spaces may leave the anchor other tokens; then it is written as one of its own.
        match anchored.ids.strip_prefix(anchor.as_slice()) {
            Some(ids) => {
                let span = |&(start, end): &(usize, usize)| {
                    (start.saturating_sub(ANCHOR.len()), end.saturating_sub(ANCHOR.len()))
                };
                Pieces {
                    ids: ids.to_vec(),
                    spans: anchored.spans[anchor.len()..].iter().map(span).collect(),
                    cuts: Vec::new(),
                }
            }
            None => self.spanned(text),
        }
    }

    /// The tokens of a text, each with what it spells. White space that a special token swallows is no part of it.
    fn spanned(&self, text: &str) -> Pieces {
        let inner = self.recognising();
        let encoding = match inner.encode(text, false) {
            Ok(encoding) => encoding,
            Err(error) => {
                tracing::error!(%error, "text that cannot be encoded is left out");
                return Pieces::default();
            }
        };
        let added = inner.get_added_vocabulary().get_added_tokens_decoder();
        let span = |(&id, &(start, end)): (&u32, &(usize, usize))| {
            let token = added.get(&id).filter(|token| token.lstrip || token.rstrip);
            let place =
                token.and_then(|token| Some((text.get(start..end)?.find(&token.content)?, token.content.len())));
            place.map_or((start, end), |(at, len)| (start + at, start + at + len))
        };
        Pieces {
            ids: encoding.get_ids().to_vec(),
            spans: encoding
                .get_ids()
                .iter()
                .zip(encoding.get_offsets())
                .map(span)
                .collect(),
            cuts: Vec::new(),
        }
    }
}
