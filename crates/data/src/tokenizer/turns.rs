//! Conversations to tokens: by role tokens, or by the chat template that a model brings.

use std::ops::Range;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Tokenizer;
use crate::chat::{Chat, ChatTemplate, Clock, Rendered};
use crate::error::{Error, Result};
use crate::types::{Message, Role};

/// Ways of writing a conversation.
#[derive(Clone, Debug)]
pub(super) enum Turns {
    /// The token of each message's role and its content; after the assistant's eos.
    Roles([u32; 3]),
    /// By a chat template.
    Template(Box<ChatTemplate>),
    /// The model in this folder does not say.
    Unknown(PathBuf),
}

/// A conversation in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChat {
    /// The tokens.
    pub input_ids: Vec<u32>,
    /// True on the tokens that are the assistant's: what it says and what ends it.
    pub assistant_mask: Vec<bool>,
}

impl Tokenizer {
    /// The chat template that conversations are written with; nothing if they are written with role tokens.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        match &self.turns {
            Turns::Template(template) => Some(template),
            Turns::Roles(_) | Turns::Unknown(_) => None,
        }
    }

    /// Checks that there is a way to write conversations.
    ///
    /// # Errors
    /// [`Error::MissingChatTemplate`] if there are neither role tokens nor a chat template.
    pub fn check_conversations(&self) -> Result<()> {
        match &self.turns {
            Turns::Roles(_) | Turns::Template(_) => Ok(()),
            Turns::Unknown(dir) => Err(missing(dir)),
        }
    }

    /// The same tokenizer, which writes conversations with `template`. Its variables are this tokenizer's special tokens.
    #[must_use]
    pub fn with_chat_template(mut self, template: ChatTemplate) -> Self {
        let template = template.with_special_tokens(self.special_names.clone());
        self.turns = Turns::Template(Box::new(template));
        self
    }

    /// The same tokenizer, whose chat template is told another time.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        if let Turns::Template(template) = self.turns {
            self.turns = Turns::Template(Box::new(template.with_clock(clock)));
        }
        self
    }

    /// A conversation that waits for the assistant: its messages, then what opens the assistant's turn.
    ///
    /// # Errors
    /// If there is no way to write conversations, or the chat template refuses this one.
    pub fn encode_prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        match &self.turns {
            Turns::Roles(roles) => {
                let mut ids = self.role_turns(messages, roles).input_ids;
                ids.push(roles[Role::Assistant as usize]);
                Ok(ids)
            }
            Turns::Template(template) => {
                let text = template.text(&Chat::prompt(&values(messages)))?;
                Ok(self.encode_with_special_tokens(&text))
            }
            Turns::Unknown(dir) => Err(missing(dir)),
        }
    }

    /// An answer to `prompt`, which ends with eos. After [`Self::encode_prompt`] of the same messages it is what the model
    /// is to generate.
    ///
    /// Under a chat template it is what the assistant's message adds to the text of the prompt, up to eos; where the
    /// template writes no eos, one is appended.
    ///
    /// # Errors
    /// If there is no way to write conversations, or the chat template refuses this one, or what it writes for the whole
    /// does not begin with what it writes for the prompt.
    pub fn encode_completion(&self, prompt: &[Message], completion: &str) -> Result<Vec<u32>> {
        let template = match &self.turns {
            Turns::Roles(_) => {
                let mut ids = self.encode(completion);
                ids.push(self.eos_token_id());
                return Ok(ids);
            }
            Turns::Template(template) => template,
            Turns::Unknown(dir) => return Err(missing(dir)),
        };
        let mut messages = values(prompt);
        let before = template.text(&Chat::prompt(&messages))?;
        messages.push(json!(Message::assistant(completion)));
        let whole = template.text(&Chat::new(&messages))?;
        let Some(answer) = whole.strip_prefix(&before) else {
            return Err(Error::AnswerNotFound {
                template: template.name().to_owned(),
                message: prompt.len(),
                reason: "the text up to it does not begin with the text up to its generation prompt".to_owned(),
            });
        };
        let input_ids = self.encode_answer(&before, &whole, answer);
        let assistant_mask = vec![true; input_ids.len()];
        let mut answer = EncodedChat {
            input_ids,
            assistant_mask,
        };
        self.end_with_eos(&mut answer, 0);
        Ok(answer.input_ids)
    }

    /// The tokens of `answer`, by which `whole` is longer than `before`. Tokenizers that write the beginning of a text in a
    /// way of its own may count the end of `before` as such, after a special token; what they do with the whole decides.
    fn encode_answer(&self, before: &str, whole: &str, answer: &str) -> Vec<u32> {
        if self.anchor.is_some() {
            let [before, whole] = [before, whole].map(|text| self.encode_with_special_tokens(text));
            if let Some(rest) = whole.strip_prefix(&*before) {
                return rest.to_vec();
            }
        }
        self.encode_continuation(answer)
    }

    /// A conversation as it is. If its last message is the assistant's, it ends with eos: a chat template's text after
    /// that is left out, since nothing generates it, and where the template writes no eos, one is appended.
    ///
    /// # Errors
    /// If there is no way to write conversations, the chat template refuses this one, or what is the assistant's cannot be
    /// told.
    pub fn encode_conversation(&self, messages: &[Message]) -> Result<EncodedChat> {
        let template = match &self.turns {
            Turns::Roles(roles) => return Ok(self.role_turns(messages, roles)),
            Turns::Template(template) => template,
            Turns::Unknown(dir) => return Err(missing(dir)),
        };
        let mut rendered = template.render(&Chat::new(&values(messages)))?;
        rendered.answers = learnt_answers(rendered.answers, messages, template)?;
        let mut chat = self.encode_rendered(&rendered);
        if messages.last().is_some_and(|last| last.role == Role::Assistant) {
            // The last run of the assistant's tokens; without one the template marks nothing.
            let end = chat.assistant_mask.iter().rposition(|&is_answer| is_answer);
            if let Some(end) = end {
                let before = chat.assistant_mask[..end].iter().rposition(|&is_answer| !is_answer);
                self.end_with_eos(&mut chat, before.map_or(0, |before| before + 1));
            }
        }
        Ok(chat)
    }

    /// The tokens of a rendered conversation and which of them are the assistant's: those that overlap an answer. Special
    /// tokens that the text spells are recognised, whoever wrote them, and none is added.
    pub fn encode_rendered(&self, rendered: &Rendered) -> EncodedChat {
        let encoding = self.recognising().encode(rendered.text.as_str(), false);
        let encoding = encoding.expect("a tokenizer that gives every text back has tokens for it");
        let tokens = encoding.get_offsets();
        let mut assistant_mask = vec![false; tokens.len()];
        for answer in &rendered.answers {
            let overlaps = |&(start, end): &(usize, usize)| start < answer.end && end > answer.start;
            // All from the first to the last: of a token the offsets may leave out white space at its ends.
            let first = tokens.iter().position(overlaps);
            let last = tokens.iter().rposition(overlaps);
            if let (Some(first), Some(last)) = (first, last) {
                assistant_mask[first..=last].fill(true);
            }
        }
        EncodedChat {
            input_ids: encoding.get_ids().to_vec(),
            assistant_mask,
        }
    }

    /// Role tokens and contents, and eos after each answer.
    fn role_turns(&self, messages: &[Message], roles: &[u32; 3]) -> EncodedChat {
        let mut chat = EncodedChat {
            input_ids: Vec::new(),
            assistant_mask: Vec::new(),
        };
        for message in messages {
            let is_answer = message.role == Role::Assistant;
            chat.push(roles[message.role as usize], false);
            for id in self.encode(&message.content) {
                chat.push(id, is_answer && message.learnt);
            }
            if is_answer {
                chat.push(self.eos_token_id(), message.learnt);
            }
        }
        chat
    }

    /// Ends `chat`, whose last answer starts at `start`, with that answer's eos.
    fn end_with_eos(&self, chat: &mut EncodedChat, start: usize) {
        let eos = self.eos_token_id();
        match chat.input_ids[start..].iter().rposition(|&id| id == eos) {
            Some(place) => chat.truncate(start + place + 1),
            None => chat.push(eos, true),
        }
    }
}

impl EncodedChat {
    fn push(&mut self, id: u32, is_answer: bool) {
        self.input_ids.push(id);
        self.assistant_mask.push(is_answer);
    }

    fn truncate(&mut self, len: usize) {
        self.input_ids.truncate(len);
        self.assistant_mask.truncate(len);
    }
}

fn values(messages: &[Message]) -> Vec<Value> {
    messages.iter().map(|message| json!(message)).collect()
}

/// Those of the spans that are answers to be learnt.
fn learnt_answers(
    spans: Vec<Range<usize>>,
    messages: &[Message],
    template: &ChatTemplate,
) -> Result<Vec<Range<usize>>> {
    let answers = messages.iter().enumerate();
    let answers: Vec<_> = answers.filter(|(_, message)| message.role == Role::Assistant).collect();
    let Some((left_out, _)) = answers.iter().find(|(_, message)| !message.learnt) else {
        return Ok(spans);
    };
    // Blocks inside of blocks add nothing.
    let mut outer: Vec<Range<usize>> = Vec::new();
    for span in spans {
        if outer.last().is_none_or(|before| span.start >= before.end) {
            outer.push(span);
        }
    }
    if outer.len() != answers.len() {
        return Err(Error::AnswerNotFound {
            template: template.name().to_owned(),
            message: *left_out,
            reason: format!(
                "it is not to be learnt, and the template has {} generation blocks for {} answers",
                outer.len(),
                answers.len()
            ),
        });
    }
    let learnt = outer
        .into_iter()
        .zip(answers)
        .filter(|(_, (_, message))| message.learnt);
    Ok(learnt.map(|(span, _)| span).collect())
}

fn missing(dir: &std::path::Path) -> Error {
    Error::MissingChatTemplate { dir: dir.to_owned() }
}
