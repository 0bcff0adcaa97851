//! Conversations to tokens: by role tokens, or by the chat template that a model brings.

use std::ops::Range;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Tokenizer;
use super::seams::Pieces;
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

    /// A conversation that waits for the assistant: its messages, then what opens the assistant's turn. No token spans the
    /// beginning of an earlier answer.
    ///
    /// # Errors
    /// If there is no way to write conversations, or the chat template refuses this one.
    pub fn encode_prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        match &self.turns {
            Turns::Roles(roles) => {
                let mut ids = self.role_turns(messages, roles)?.input_ids;
                ids.push(roles[Role::Assistant as usize]);
                Ok(ids)
            }
            Turns::Template(template) => {
                let values = values(messages);
                let chat = Chat::prompt(&values);
                let text = template.text(&chat)?;
                let is_answered = messages.iter().any(|message| message.role == Role::Assistant);
                // What was answered before is cut as it was when it was said, if that can be told.
                let seams = if is_answered {
                    let rendered = template.render(&chat);
                    rendered.map_or_else(|_| Vec::new(), |rendered| template.seams(&chat, &rendered))
                } else {
                    Vec::new()
                };
                Ok(self.cut(&text, &seams).ids)
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
        self.encode_reply(prompt, &Message::assistant(completion))
    }

    /// [`Self::encode_completion`] of an answer with what was thought before it.
    ///
    /// # Errors
    /// Those of [`Self::encode_completion`]; and if something was thought, and conversations are written with role tokens.
    pub fn encode_reply(&self, prompt: &[Message], reply: &Message) -> Result<Vec<u32>> {
        let template = match &self.turns {
            Turns::Roles(_) => {
                refuse_reasoning(std::slice::from_ref(reply))?;
                let mut ids = self.encode(&reply.content);
                ids.push(self.eos_token_id());
                return Ok(ids);
            }
            Turns::Template(template) => template,
            Turns::Unknown(dir) => return Err(missing(dir)),
        };
        let mut messages = values(prompt);
        let before = template.text(&Chat::prompt(&messages))?;
        messages.push(json!(reply));
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

    /// A conversation as it is. If its last message is the assistant's, it ends with eos: a chat template's text after
    /// that is left out, since nothing generates it, and where the template writes no eos, one is appended.
    ///
    /// Each answer begins with a token of its own, after the tokens that [`Self::encode_prompt`] gives for the messages before it.
    ///
    /// # Errors
    /// If there is no way to write conversations, the chat template refuses this one, or what is the assistant's cannot be
    /// told.
    pub fn encode_conversation(&self, messages: &[Message]) -> Result<EncodedChat> {
        let template = match &self.turns {
            Turns::Roles(roles) => return self.role_turns(messages, roles),
            Turns::Template(template) => template,
            Turns::Unknown(dir) => return Err(missing(dir)),
        };
        let values = values(messages);
        let mut rendered = template.render(&Chat::new(&values))?;
        // Of all answers, those too that are not to be learnt.
        let seams = template.seams(&Chat::new(&values), &rendered);
        rendered.answers = learnt_answers(rendered.answers, messages, template)?;
        let mut chat = marked(self.cut(&rendered.text, &seams), &rendered);
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

    /// The tokens of a rendered conversation as a whole, as transformers gives them, and which of them are the assistant's: those
    /// that overlap an answer. Special tokens that the text spells are recognised, whoever wrote them, and none is added.
    pub fn encode_rendered(&self, rendered: &Rendered) -> EncodedChat {
        marked(self.cut(&rendered.text, &[]), rendered)
    }

    /// Role tokens and contents, and eos after each answer.
    fn role_turns(&self, messages: &[Message], roles: &[u32; 3]) -> Result<EncodedChat> {
        refuse_reasoning(messages)?;
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
        Ok(chat)
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

/// Tokens of a conversation, those that overlap an answer marked.
fn marked(pieces: Pieces, rendered: &Rendered) -> EncodedChat {
    let Pieces { ids, spans, cuts } = pieces;
    let cut_at = |byte: usize| cuts.iter().find(|(place, _)| *place == byte).map(|(_, tokens)| *tokens);
    let mut assistant_mask = vec![false; ids.len()];
    for answer in &rendered.answers {
        let overlaps = |&(start, end): &(usize, usize)| start < answer.end && end > answer.start;
        // All from the first to the last: of a token the spans may leave out white space at its ends.
        let first = cut_at(answer.start).or_else(|| spans.iter().position(overlaps));
        let last = cut_at(answer.end).or_else(|| Some(spans.iter().rposition(overlaps)? + 1));
        if let (Some(first), Some(end)) = (first, last)
            && !answer.is_empty()
            && first < end
        {
            assistant_mask[first..end].fill(true);
        }
    }
    EncodedChat {
        input_ids: ids,
        assistant_mask,
    }
}

/// Role tokens have no place for what was thought before a message.
fn refuse_reasoning(messages: &[Message]) -> Result<()> {
    let thoughts = messages.iter().enumerate();
    let mut thoughts = thoughts.filter_map(|(index, message)| Some((index, message.reasoning.as_ref()?)));
    match thoughts.next() {
        Some((message, reasoning)) => Err(Error::NoPlaceForReasoning {
            message,
            field: reasoning.name(),
        }),
        None => Ok(()),
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
