//! Where a context ends and its continuation begins, in tokens.
//!
//! Both are encoded together, and the continuation's tokens are those after as many as the context alone has; white space at the end
//! of the context counts as the continuation's, since it is one token with the word after it in most vocabularies. This is what
//! lm-evaluation-harness does. It is another rule than that of conversations ([`Tokenizer::encode_prompt`] and its completion), whose
//! answers begin with a token of their own: there a model has been told where its turn begins.

use rlhf_data::{Message, Tokenizer};

use crate::error::{Error, Result};
use crate::question::{Context, Question};

/// The tokens of a [`crate::Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Those of the context, then those of the continuation.
    pub ids: Vec<u32>,
    /// Number of those of the context, at least 1: what comes after them is scored.
    pub from: usize,
    /// Tokens of the context that were left out at its beginning, because the model's own context is shorter.
    pub dropped: usize,
}

/// Encodes the requests of a question for a model that reads `most` tokens at once. A longer context loses its beginning, and with it
/// the bos that the tokenizer may have put there.
///
/// # Errors
/// If a continuation has no token, or leaves no room for any of its context, or the conversation cannot be written.
pub fn encode_question(tokenizer: &Tokenizer, question: &Question, most: usize) -> Result<Vec<Encoded>> {
    // The contexts of choices are the same, and long ones take their time.
    let mut before: Option<(&Context, Vec<u32>)> = None;
    let mut found = Vec::with_capacity(question.requests.len());
    for request in &question.requests {
        let (mut ids, continuation) = match &request.context {
            Context::Text(context) => {
                let kept = context.trim_end();
                let moved = format!("{}{}", &context[kept.len()..], request.continuation);
                let own = match before.take() {
                    Some((same, ids)) if same == &request.context => ids,
                    _ => opening(tokenizer, kept),
                };
                before = Some((&request.context, own.clone()));
                let whole = after(tokenizer, kept, &moved, own.len());
                (own, whole)
            }
            Context::Turns(messages) => turns(tokenizer, messages, &request.continuation)?,
        };
        let place = || question.origin.to_string();
        if continuation.is_empty() {
            return Err(Error::NoTokens {
                place: place(),
                continuation: request.continuation.clone(),
            });
        }
        if continuation.len() >= most {
            return Err(Error::TooLong {
                place: place(),
                continuation: request.continuation.chars().take(40).collect(),
                tokens: continuation.len(),
                most,
            });
        }
        let dropped = (ids.len() + continuation.len()).saturating_sub(most);
        ids.drain(..dropped);
        let from = ids.len();
        ids.extend(continuation);
        found.push(Encoded { ids, from, dropped });
    }
    Ok(found)
}

/// The tokens of a context without white space at its end; of none, what a text without anything before it follows.
fn opening(tokenizer: &Tokenizer, context: &str) -> Vec<u32> {
    if context.is_empty() {
        tokenizer.before_text()
    } else {
        tokenizer.encode_opening(context)
    }
}

/// The tokens of a continuation after a context that has so many of its own.
fn after(tokenizer: &Tokenizer, context: &str, continuation: &str, own: usize) -> Vec<u32> {
    if context.is_empty() {
        return tokenizer.encode(continuation);
    }
    let whole = tokenizer.encode_opening(&format!("{context}{continuation}"));
    whole.get(own..).unwrap_or_default().to_vec()
}

/// A conversation, and the answer to it without the token that ends it.
fn turns(tokenizer: &Tokenizer, messages: &[Message], answer: &str) -> Result<(Vec<u32>, Vec<u32>)> {
    let prompt = tokenizer.encode_prompt(messages)?;
    let mut reply = tokenizer.encode_completion(messages, answer)?;
    if reply.last() == Some(&tokenizer.eos_token_id()) {
        reply.pop();
    }
    Ok((prompt, reply))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{Key, Request};
    use rlhf_data::{Origin, TokenizerConfig};

    /// ` cat` and ` the` are tokens of it.
    fn tokenizer() -> Tokenizer {
        let config = TokenizerConfig {
            vocab_size: 270,
            min_frequency: 2,
        };
        Tokenizer::train(["the cat the cat the cat"], &config).unwrap()
    }

    fn question(requests: Vec<Request>) -> Question {
        Question {
            origin: Origin::default(),
            groups: Vec::new(),
            requests,
            key: Key::Pair,
        }
    }

    fn encoded(context: &str, continuation: &str, most: usize) -> Result<Encoded> {
        let requests = vec![Request::after(context, continuation)];
        encode_question(&tokenizer(), &question(requests), most).map(|mut found| found.remove(0))
    }

    #[test]
    fn a_space_belongs_to_the_word_after_it_on_whichever_side_it_was_written() {
        let tokenizer = tokenizer();
        let whole = tokenizer.encode("the cat");
        let cat = tokenizer.encode(" cat");
        assert_eq!(cat.len(), 1, "a token of its own");
        for (context, continuation) in [("the", " cat"), ("the ", "cat")] {
            let found = encoded(context, continuation, 99).unwrap();
            assert_eq!(found.ids, whole);
            assert_eq!(found.ids[found.from..], cat);
            assert_eq!(found.dropped, 0);
        }
    }

    #[test]
    fn a_text_without_a_context_follows_what_stands_between_texts() {
        let tokenizer = tokenizer();
        for context in ["", " \n"] {
            let found = encoded(context, "the", 99).unwrap();
            assert_eq!(found.ids[..1], [tokenizer.eos_token_id()]);
            assert_eq!(found.from, 1);
            assert_eq!(found.ids[1..], tokenizer.encode(&format!("{context}the")));
        }
    }

    #[test]
    fn a_long_context_loses_its_beginning_and_says_so() {
        let long = "the cat".to_owned() + &" the cat".repeat(20);
        let whole = encoded(&long, " the", 999).unwrap();
        let found = encoded(&long, " the", 10).unwrap();
        assert_eq!(found.ids.len(), 10);
        assert_eq!(found.ids[..], whole.ids[whole.ids.len() - 10..]);
        assert_eq!((found.from, found.dropped), (9, whole.ids.len() - 10));
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let nothing = encoded("the", "", 99).unwrap_err().to_string();
        assert!(nothing.contains("adds no token"), "{nothing}");
        let long = encoded("the", " cat cat cat", 3).unwrap_err().to_string();
        assert!(long.contains("expected less than 3"), "{long}");
    }

    #[test]
    fn a_choice_has_the_tokens_that_it_has_alone() {
        let requests = ["cat", "the", "x"]
            .map(|choice| Request::after("the cat ", choice))
            .to_vec();
        let together = encode_question(&tokenizer(), &question(requests.clone()), 99).unwrap();
        for (request, found) in requests.into_iter().zip(together) {
            let alone = encode_question(&tokenizer(), &question(vec![request]), 99).unwrap();
            assert_eq!(alone, [found]);
        }
    }

    #[test]
    fn an_answer_in_a_conversation_begins_with_a_token_of_its_own_and_has_no_end() {
        let tokenizer = tokenizer();
        let request = Request {
            context: Context::Turns(vec![Message::user("the cat")]),
            continuation: "the".to_owned(),
        };
        let found = encode_question(&tokenizer, &question(vec![request]), 99)
            .unwrap()
            .remove(0);
        assert_eq!(tokenizer.decode(&found.ids, false), "<|user|>the cat<|assistant|>the");
        assert_eq!(found.ids[found.from..], tokenizer.encode("the"));
    }
}
