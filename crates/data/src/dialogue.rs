//! Conversations written as one text, the way Anthropic's HH-RLHF files do.

use crate::types::{Message, Role};

const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";

/// The turns of a text that starts with `\n\nHuman:`; nothing if it does not.
pub(crate) fn parse(text: &str) -> Option<Vec<Message>> {
    let mut rest = text.strip_prefix(HUMAN)?;
    let mut role = Role::User;
    let mut messages = Vec::new();
    loop {
        let next = [(HUMAN, Role::User), (ASSISTANT, Role::Assistant)]
            .into_iter()
            .filter_map(|(marker, role)| rest.find(marker).map(|at| (at, marker, role)))
            .min_by_key(|&(at, ..)| at);
        let Some((at, marker, next_role)) = next else {
            messages.push(Message::new(role, rest.trim()));
            return Some(messages);
        };
        messages.push(Message::new(role, rest[..at].trim()));
        rest = &rest[at + marker.len()..];
        role = next_role;
    }
}

/// A prompt given as text: a dialogue that waits for the assistant becomes its turns, other text one user message.
///
/// White space around the text is layout between prompt and completion, which role tokens replace.
pub(crate) fn prompt_messages(text: &str) -> Vec<Message> {
    match parse(text) {
        Some(mut messages) if text.trim_end().ends_with(ASSISTANT) && messages.len() > 1 => {
            messages.pop();
            messages
        }
        _ => vec![Message::user(text.trim())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialogues_become_turns() {
        let text = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nIt is me.\n\nHuman: Why?\n\nAssistant:";
        let turns = prompt_messages(text);
        assert_eq!(
            turns,
            [
                Message::user("Hi"),
                Message::assistant("Hello.\n\nIt is me."),
                Message::user("Why?")
            ]
        );
    }

    #[test]
    fn other_text_is_one_user_message() {
        for text in ["Human: Hi", "Why?\n", "\n\nHuman: a story with no end"] {
            assert_eq!(prompt_messages(text), [Message::user(text.trim())]);
        }
    }
}
