//! The conversations of a row: its prompt, what answers it, and answers that are compared.

use serde_json::Value;

use super::Row;
use crate::dialogue;
use crate::error::{Error, Result};
use crate::types::{Message, Role};

/// Answers of a row, as [`Row::candidates`] finds them.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// For each the conversation that it answers, and its text. Of conversations that part earlier these differ.
    pub answers: Vec<(Vec<Message>, String)>,
    /// `ranking[i]` is the rank of `answers[i]`: 0 is best, equal ranks are ties; nothing where nobody ranked them.
    pub ranking: Option<Vec<u32>>,
}

/// The prompt of a row as it stands in its field.
struct Asked {
    field: &'static str,
    messages: Vec<Message>,
}

const TURNS: &str = "a string or an array of messages";

impl Row {
    /// The prompt, and `messages` if there are any with what the prompt adds to them; nothing if there is neither.
    fn asked(&self) -> Result<Option<Asked>> {
        let prompt = match self.get("prompt") {
            None => None,
            Some(Value::String(text)) => Some(dialogue::prompt_messages(text)),
            Some(Value::Array(items)) => Some(self.messages_in("prompt", items)?),
            other => return Err(self.wrong("prompt", TURNS, other)),
        };
        let (field, messages) = match (self.has("messages"), prompt) {
            (false, None) => return Ok(None),
            (false, Some(prompt)) => ("prompt", prompt),
            (true, prompt) => {
                let messages = match self.get("messages") {
                    Some(Value::Array(items)) => self.messages_in("messages", items)?,
                    other => return Err(self.wrong("messages", "an array of messages", other)),
                };
                let joined = match prompt {
                    Some(prompt) => self.joined(prompt, "messages", messages)?,
                    None => messages,
                };
                ("messages", joined)
            }
        };
        Ok(Some(Asked { field, messages }))
    }

    /// A conversation with what a prompt beside it adds: where it goes on from the prompt, or lacks its system message.
    ///
    /// # Errors
    /// If the prompt is not that of the conversation.
    fn joined(&self, prompt: Vec<Message>, field: &str, conversation: Vec<Message>) -> Result<Vec<Message>> {
        let same = |a: &[Message], b: &[Message]| {
            let pairs = a.iter().zip(b);
            a.len() == b.len()
                && pairs
                    .into_iter()
                    .all(|(a, b)| a.role == b.role && a.content.trim() == b.content.trim())
        };
        let opens_with = |role: Role| conversation.first().is_some_and(|first| first.role == role);
        if prompt.iter().all(|message| message.content.trim().is_empty())
            || conversation.windows(prompt.len()).any(|turns| same(turns, &prompt))
        {
            return Ok(conversation);
        }
        // All of it but a system message.
        let system = prompt.iter().take_while(|message| message.role == Role::System).count();
        let (system, rest) = prompt.split_at(system);
        if !system.is_empty()
            && !opens_with(Role::System)
            && conversation.get(..rest.len()).is_some_and(|turns| same(turns, rest))
        {
            return Ok([system, &conversation].concat());
        }
        // Its last turns, and the answer.
        let is_answered = conversation.last().is_some_and(|last| last.role == Role::Assistant);
        let (turns, answer) = conversation.split_at(conversation.len() - usize::from(is_answered));
        let before = prompt.len().checked_sub(turns.len());
        if before.is_some_and(|before| same(&prompt[before..], turns)) {
            return Ok([&prompt, answer].concat());
        }
        if opens_with(Role::Assistant) {
            return Ok([prompt, conversation].concat());
        }
        Err(self.wrong_with(
            "prompt",
            format!("the prompt of the conversation in `{field}`, or what comes before it"),
            "another one".to_owned(),
        ))
    }

    /// The prompt as messages that end with the user's, and true if the row's texts are pieces of one text, between which white
    /// space is layout.
    ///
    /// # Errors
    /// If there is none, or it is no conversation that waits for an answer.
    pub fn prompt(&self) -> Result<(Vec<Message>, bool)> {
        let Some(Asked { field, messages }) = self.asked()? else {
            return Err(self.wrong("prompt", TURNS, None));
        };
        self.ends_with(field, &messages, Role::User)?;
        Ok((all_alike(messages), self.is_text()))
    }

    /// The prompt as [`Self::prompt`] has it; a conversation in `messages` without the answers that end it, so that rows of
    /// demonstrations serve too.
    pub(crate) fn prompt_of_conversation(&self) -> Result<Vec<Message>> {
        let Some(Asked { field, mut messages }) = self.asked()? else {
            return Err(self.wrong("prompt", TURNS, None));
        };
        while field == "messages" && messages.len() > 1 && messages.last().is_some_and(|m| m.role == Role::Assistant) {
            messages.pop();
        }
        self.ends_with(field, &messages, Role::User)?;
        Ok(all_alike(messages))
    }

    fn is_text(&self) -> bool {
        self.get("prompt").is_some_and(Value::is_string)
    }

    pub(crate) fn ends_with(&self, field: &str, messages: &[Message], role: Role) -> Result<()> {
        match messages.last() {
            Some(last) if last.role == role => Ok(()),
            last => Err(self.wrong_with(
                field,
                format!("a conversation that ends with a message of the {role}"),
                last.map_or_else(
                    || "none".to_owned(),
                    |last| format!("one that ends with the {}", last.role),
                ),
            )),
        }
    }

    /// The conversation in `messages` with what a prompt beside it adds, whoever has the last word.
    ///
    /// # Errors
    /// If there is none, or the prompt is not that of it.
    pub fn whole_conversation(&self) -> Result<Vec<Message>> {
        match self.asked()?.filter(|asked| asked.field == "messages") {
            Some(asked) => Ok(all_alike(asked.messages)),
            None => Err(self.wrong("messages", "an array of messages", None)),
        }
    }

    /// A conversation that ends with the assistant: that of `messages` with what a prompt beside it adds, or a prompt with what `completion` adds.
    ///
    /// # Errors
    /// If there is neither, or the parts do not belong together.
    pub fn conversation(&self) -> Result<Vec<Message>> {
        if self.has("completion") {
            return self.answered("completion");
        }
        let Some(Asked { messages, .. }) = self.asked()?.filter(|asked| asked.field == "messages") else {
            return Err(if self.has("prompt") {
                self.wrong("completion", TURNS, None)
            } else {
                self.wrong("prompt", "fields prompt and completion, or messages", None)
            });
        };
        self.ends_with("messages", &messages, Role::Assistant)?;
        Ok(messages)
    }

    /// The prompt and the answer in a field.
    pub(crate) fn answered(&self, field: &str) -> Result<Vec<Message>> {
        self.answered_by(field, self.get(field), self.asked()?)
    }

    /// The conversation that an answer ends: a text, a message of the assistant, or all of it.
    fn answered_by(&self, field: &str, answer: Option<&Value>, asked: Option<Asked>) -> Result<Vec<Message>> {
        // Beside messages a text is an answer, whatever it looks like: models are sampled that go on with such turns.
        let is_whole = |turns: &Vec<Message>| asked.is_none() || self.is_text() && turns.len() > 1;
        let (turns, is_dialogue) = match answer {
            Some(Value::String(text)) => match dialogue::parse(text).filter(is_whole) {
                Some(turns) => (turns, true),
                None if self.is_text() => (vec![Message::assistant(text.trim())], false),
                None => (vec![Message::assistant(text.as_str())], false),
            },
            Some(Value::Array(items)) => (self.messages_in(field, items)?, true),
            other => return Err(self.wrong(field, TURNS, other)),
        };
        self.ends_with(field, &turns, Role::Assistant)?;
        let Some(asked) = asked else {
            return match (is_dialogue, field) {
                (true, _) => Ok(turns),
                (false, "chosen" | "rejected") => {
                    let expected = "a prompt field beside it, or a dialogue of Human: and Assistant: turns";
                    Err(self.wrong(field, expected, answer))
                }
                _ => Err(self.wrong("prompt", TURNS, None)),
            };
        };
        if turns.len() == 1 {
            self.ends_with(asked.field, &asked.messages, Role::User)?;
            return Ok([asked.messages, turns].concat());
        }
        self.joined(asked.messages, field, turns)
    }

    /// The answers that a row compares: `completions`, perhaps with their `ranking`, or `chosen` and `rejected`. Nothing if it
    /// has neither.
    ///
    /// # Errors
    /// If they are no answers, or not to the prompt that is beside them.
    pub fn candidates(&self) -> Result<Option<Candidates>> {
        let (conversations, ranking) = if self.has("completions") {
            let conversations = self.completions()?;
            let ranking = self.has("ranking").then(|| self.ranking(conversations.len()));
            (conversations, ranking.transpose()?)
        } else if self.has("chosen") || self.has("rejected") {
            let pair = vec![self.answered("chosen")?, self.answered("rejected")?];
            (pair, Some(vec![0, 1]))
        } else {
            return Ok(None);
        };
        let field = |index: usize| match (self.has("completions"), index) {
            (true, _) => format!("completions[{index}]"),
            (false, 0) => "chosen".to_owned(),
            (false, _) => "rejected".to_owned(),
        };
        let answers = conversations.into_iter().enumerate().map(|(index, mut messages)| {
            let answer = self.answer_text(&field(index), messages.pop())?;
            Ok((all_alike(messages), answer))
        });
        let answers: Vec<_> = answers.collect::<Result<_>>()?;
        for (messages, _) in &answers {
            let field = if self.has("completions") {
                "completions"
            } else {
                "chosen"
            };
            self.ends_with(field, messages, Role::User)?;
        }
        Ok(Some(Candidates { answers, ranking }))
    }

    fn completions(&self) -> Result<Vec<Vec<Message>>> {
        let items = match self.get("completions") {
            Some(Value::Array(items)) if !items.is_empty() || self.has("ranking") => items,
            other => return Err(self.wrong("completions", "an array of answers", other)),
        };
        let answer = |(index, item)| self.answered_by(&format!("completions[{index}]"), Some(item), self.asked()?);
        items.iter().enumerate().map(answer).collect()
    }

    /// A rank for each of `completions` answers, 0 for the best.
    fn ranking(&self, completions: usize) -> Result<Vec<u32>> {
        let (path, line) = (self.path.to_path_buf(), self.line);
        if completions < 2 {
            return Err(Error::TooFewCompletions {
                path,
                line,
                found: completions,
            });
        }
        let (one, all) = ("a whole number, 0 for the best", "an array of ranks, 0 for the best");
        let ranks = self.whole_numbers("ranking", one, all)?;
        if ranks.len() != completions {
            return Err(Error::RankingLength {
                path,
                line,
                completions,
                ranks: ranks.len(),
            });
        }
        Ok(ranks)
    }
}

/// Messages of which nothing is learnt, so that marks of it make no difference.
pub(super) fn all_alike(mut messages: Vec<Message>) -> Vec<Message> {
    messages.iter_mut().for_each(|message| message.learnt = true);
    messages
}
