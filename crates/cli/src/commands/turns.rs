//! The conversation of `rlhf chat`: what was said, and how much of it the model is given.

use rlhf_data::{Message, Role, Tokenizer};
use serde_json::{Value, json};

/// The conversation so far.
pub(super) struct Conversation {
    messages: Vec<Message>,
    system: usize,
}

/// The tokens that a model answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) ids: Vec<u32>,
    /// Messages at the start of the conversation that did not fit.
    pub(super) dropped: usize,
}

/// Why a conversation gives no prompt.
#[derive(Debug)]
pub(super) enum NoWindow {
    /// The last message does not fit even alone; with what surrounds it, it has that many tokens.
    TooLong(usize),
    /// The chat template refuses it.
    Refused(rlhf_data::Error),
}

impl Conversation {
    pub(super) fn new(system: Option<&str>) -> Self {
        let messages: Vec<Message> = system.map(Message::system).into_iter().collect();
        Self {
            system: messages.len(),
            messages,
        }
    }

    /// Forgets all but the system message.
    pub(super) fn reset(&mut self) {
        self.messages.truncate(self.system);
    }

    pub(super) fn push(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// Takes the last message back.
    pub(super) fn pop(&mut self) {
        if self.messages.len() > self.system {
            self.messages.pop();
        }
    }

    /// True if the last word is the model's.
    pub(super) fn is_answered(&self) -> bool {
        self.messages.last().is_some_and(|last| last.role == Role::Assistant)
    }

    /// A row that the readers of demonstrations and of prompts accept.
    pub(super) fn row(&self, thumb: &str) -> Value {
        json!({ "messages": self.messages, "thumb": thumb })
    }

    /// The prompt of the next answer: the system message and as many of the last exchanges as `room` tokens hold.
    pub(super) fn window(&self, tokenizer: &Tokenizer, room: usize) -> Result<Window, NoWindow> {
        let (system, rest) = self.messages.split_at(self.system);
        // The model is to begin with a question, not with an answer to one it cannot see.
        let starts = (0..rest.len()).filter(|&start| rest[start].role == Role::User);
        let mut tokens = 0;
        for start in starts {
            let ids = tokenizer
                .encode_prompt(&[system, &rest[start..]].concat())
                .map_err(NoWindow::Refused)?;
            if ids.len() <= room {
                return Ok(Window { ids, dropped: start });
            }
            tokens = ids.len();
        }
        Err(NoWindow::TooLong(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlhf_data::TokenizerConfig;

    fn tokenizer() -> Tokenizer {
        // No merges: one token a byte.
        let config = TokenizerConfig {
            vocab_size: 261,
            min_frequency: 2,
        };
        Tokenizer::train(["x"], &config).unwrap()
    }

    fn talk() -> Conversation {
        let mut talk = Conversation::new(Some("s"));
        for message in [Message::user("aa"), Message::assistant("bb"), Message::user("cc")] {
            talk.push(message);
        }
        talk
    }

    #[test]
    fn the_oldest_exchange_goes_first_and_the_system_message_stays() {
        let tokenizer = tokenizer();
        // system 1 + 1, user 1 + 2, assistant 1 + 2 + 1, user 1 + 2, the assistant's role 1: 13 tokens.
        let whole = talk().window(&tokenizer, 13).unwrap();
        assert_eq!((whole.ids.len(), whole.dropped), (13, 0));
        let short = talk().window(&tokenizer, 12).unwrap();
        assert_eq!(
            tokenizer.decode(&short.ids, false),
            "<|system|>s<|user|>cc<|assistant|>"
        );
        assert_eq!(short.dropped, 2);
    }

    #[test]
    fn a_message_that_does_not_fit_alone_is_refused_with_its_length() {
        // system 2, user 3, role 1
        let found = talk().window(&tokenizer(), 5);
        assert!(matches!(found, Err(NoWindow::TooLong(6))), "{found:?}");
    }

    #[test]
    fn a_reset_keeps_the_system_message() {
        let mut talk = talk();
        talk.reset();
        assert!(!talk.is_answered());
        talk.pop();
        assert_eq!(talk.row("up")["messages"], json!([{"role": "system", "content": "s"}]));
    }

    #[test]
    fn a_saved_conversation_is_a_demonstration() {
        let mut talk = talk();
        talk.push(Message::assistant("dd"));
        let dir = std::env::temp_dir().join(format!("rlhf-chat-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("saved.jsonl");
        std::fs::write(&path, format!("{}\n", talk.row("up"))).unwrap();
        let rows = rlhf_data::read_demonstrations(&path).unwrap().rows;
        assert_eq!(rows[0].completion(), "dd");
        assert_eq!(
            rlhf_data::read_prompts(&path).unwrap().rows[0].messages,
            talk.messages[..4]
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
