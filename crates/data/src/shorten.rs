//! Conversations that are too long: the one rule by which they lose their beginning.

use crate::types::{Message, Role};

/// Something made of a conversation, which may have lost its oldest exchanges so as to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fitted<T> {
    /// What was made of the messages that stay.
    pub value: T,
    /// Messages that were dropped; 0 if the conversation is whole.
    pub dropped_messages: usize,
}

impl<T> Fitted<T> {
    /// True if the conversation is not whole.
    pub fn is_shortened(&self) -> bool {
        self.dropped_messages > 0
    }

    /// The same of another thing.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Fitted<U> {
        Fitted {
            value: make(self.value),
            dropped_messages: self.dropped_messages,
        }
    }
}

/// The conversation, then without its oldest exchange, and so on; there is always the first.
///
/// An exchange ends with an answer after which the user speaks, so that what stays begins with the user. System messages at the
/// start stay, and so do the user's last message and what follows it.
pub(crate) fn shorter_and_shorter(messages: &[Message]) -> impl Iterator<Item = Fitted<Vec<Message>>> {
    let is_system = |message: &&Message| message.role == Role::System;
    let system = messages.iter().take_while(is_system).count();
    let begins_exchange = move |start: &usize| {
        let (before, rest) = messages.split_at(*start);
        let speaker = rest
            .iter()
            .map(|message| message.role)
            .find(|role| *role != Role::System);
        before.last().is_some_and(|last| last.role == Role::Assistant) && speaker == Some(Role::User)
    };
    let later = (system + 1..messages.len()).filter(begins_exchange);
    std::iter::once(system).chain(later).map(move |start| Fitted {
        value: [&messages[..system], &messages[start..]].concat(),
        dropped_messages: start - system,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortenings of a conversation of which each letter is a message: s, u or a.
    fn check(conversation: &str, expected: &[(&str, usize)]) {
        let message = |(index, letter): (usize, char)| {
            let role = match letter {
                's' => Role::System,
                'u' => Role::User,
                _ => Role::Assistant,
            };
            Message::new(role, format!("{letter}{index}"))
        };
        let messages: Vec<Message> = conversation.chars().enumerate().map(message).collect();
        let letters = |messages: &[Message]| -> String { messages.iter().map(|it| &it.content[..1]).collect() };
        let found: Vec<(String, usize)> = shorter_and_shorter(&messages)
            .map(|shorter| (letters(&shorter.value), shorter.dropped_messages))
            .collect();
        let expected: Vec<(String, usize)> = expected.iter().map(|(it, n)| ((*it).to_owned(), *n)).collect();
        assert_eq!(found, expected, "{conversation}");
    }

    #[test]
    fn whole_exchanges_go_and_the_last_question_stays() {
        check("u", &[("u", 0)]);
        check("ssu", &[("ssu", 0)]);
        check("suauau", &[("suauau", 0), ("suau", 2), ("su", 4)]);
        check("suaua", &[("suaua", 0), ("sua", 2)]);
    }

    #[test]
    fn what_stays_begins_with_the_user() {
        // Two answers in a row belong to one exchange, and so do two questions.
        check("uaauua", &[("uaauua", 0), ("uua", 3)]);
        // A greeting of the assistant goes by itself.
        check("sau", &[("sau", 0), ("su", 1)]);
        // Instructions in between go with what came before them, or stay before the user.
        check("uasauau", &[("uasauau", 0), ("uau", 4), ("u", 6)]);
        check("uasu", &[("uasu", 0), ("su", 2)]);
    }

    #[test]
    fn nobody_asks_nothing_goes() {
        check("", &[("", 0)]);
        check("sa", &[("sa", 0)]);
        check("uaa", &[("uaa", 0)]);
    }
}
