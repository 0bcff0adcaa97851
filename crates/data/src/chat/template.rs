//! A compiled template and what is rendered with it.

use std::path::Path;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{AutoEscape, Environment, Error as JinjaError, ErrorKind, State, Value};
use serde_json::{Map, Value as Json};

use super::answers::{self, Rendered};
use super::{Clock, json, python, rewrite};
use crate::error::{Error, Result};
use crate::types::Reasoning;

/// The context variable that holds the two characters put around generation blocks; no template can name it.
const MARKS: &str = "marks around generation blocks";
/// Fuel of a template: it spends one unit for each instruction and for every 64 bytes it makes, so that it ends in a second
/// or two with no more than 128 MB made. A long conversation takes a twentieth.
const FUEL: u64 = 2_000_000;

/// A chat template: Jinja with `trim_blocks` and `lstrip_blocks`, `{% generation %}` blocks, `raise_exception`,
/// `strftime_now`, loop controls, transformers' `tojson` and the methods of Python's strings, lists and dicts.
///
/// ```
/// use rlhf_data::{Chat, ChatTemplate};
/// use serde_json::json;
///
/// # fn main() -> rlhf_data::Result<()> {
/// let source = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</s>{% endfor %}\
///     {% if add_generation_prompt %}<assistant>{% endif %}";
/// let template = ChatTemplate::new(source, "example.jinja")?;
/// let messages = [json!({"role": "user", "content": "the sea?"}), json!({"role": "assistant", "content": "the shore"})];
/// let rendered = template.render(&Chat::new(&messages))?;
/// assert_eq!(rendered.text, "<user>the sea?</s><assistant>the shore</s>");
/// assert_eq!(&rendered.text[rendered.answers[0].clone()], "the shore</s>");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    default: Compiled,
    /// The template for conversations with tools, where there are two.
    tool_use: Option<Compiled>,
    /// `bos_token`, `eos_token` and the others, as variables.
    special_tokens: Map<String, Json>,
    clock: Clock,
}

/// A conversation to be rendered.
#[derive(Clone, Copy, Debug)]
pub struct Chat<'a> {
    /// Objects of `role`, `content` and whatever else the template reads.
    pub messages: &'a [Json],
    /// Descriptions of tools, if the template is to show some.
    pub tools: Option<&'a Json>,
    /// True if the text is to end where the assistant begins.
    pub add_generation_prompt: bool,
    /// More variables of the template.
    pub variables: Option<&'a Map<String, Json>>,
}

impl<'a> Chat<'a> {
    /// A conversation as it is: without tools, generation prompt and variables.
    pub fn new(messages: &'a [Json]) -> Self {
        Self {
            messages,
            tools: None,
            add_generation_prompt: false,
            variables: None,
        }
    }

    /// The same, at whose end the assistant is to begin.
    pub fn prompt(messages: &'a [Json]) -> Self {
        Self {
            add_generation_prompt: true,
            ..Self::new(messages)
        }
    }
}

impl ChatTemplate {
    /// Compiles a template; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::TemplateSyntax`] with the line if it is not one.
    pub fn new(source: &str, name: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            default: Compiled::new(source, &name.as_ref().display().to_string())?,
            tool_use: None,
            special_tokens: Map::new(),
            clock: Clock::default(),
        })
    }

    /// Adds the template for conversations with tools.
    pub(super) fn with_tool_use(mut self, source: &str, name: &str) -> Result<Self> {
        self.tool_use = Some(Compiled::new(source, name)?);
        Ok(self)
    }

    /// The same template with `bos_token`, `eos_token` and the like as variables.
    #[must_use]
    pub fn with_special_tokens(mut self, special_tokens: Map<String, Json>) -> Self {
        self.special_tokens = special_tokens;
        self
    }

    /// The same template with another time for `strftime_now`.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The text of the template.
    pub fn source(&self) -> &str {
        &self.default.source
    }

    /// The text of the template for conversations with tools, where it is another one.
    pub(crate) fn tool_use_source(&self) -> Option<&str> {
        self.tool_use.as_ref().map(|compiled| &*compiled.source)
    }

    /// The origin of the template.
    pub fn name(&self) -> &str {
        &self.default.name
    }

    /// True if the template itself says what the assistant's part is.
    pub fn has_generation_blocks(&self) -> bool {
        self.default.marks_answers
    }

    /// The text alone.
    ///
    /// # Errors
    /// [`Error::TemplateRaised`] with the message that the template raised, [`Error::TemplateFailed`] if it cannot be
    /// rendered.
    pub fn text(&self, chat: &Chat<'_>) -> Result<String> {
        let (compiled, context) = self.prepare(chat);
        compiled.render(&context.with(context.messages.len(), chat.add_generation_prompt))
    }

    /// The text, and which of it is the assistant's.
    ///
    /// # Errors
    /// Those of [`Self::text`], and [`Error::AnswerNotFound`] if the template has no generation blocks and what it
    /// renders up to an answer does not begin with what it renders up to the generation prompt before it.
    pub fn render(&self, chat: &Chat<'_>) -> Result<Rendered> {
        let (compiled, context) = self.prepare(chat);
        let variables = context.with(context.messages.len(), chat.add_generation_prompt);
        let text = compiled.render(&variables)?;
        let answers = if compiled.marks_answers {
            let marks = answers::marks(&text);
            let marked = compiled.render(&context.marked(&variables, marks))?;
            answers::between_marks(&marked, marks, &text).ok_or_else(|| Error::GenerationBlockChanged {
                template: compiled.name.to_string(),
            })?
        } else {
            answers::derive(chat.messages, &text, &compiled.name, |messages, prompt| {
                compiled.render(&context.with(messages, prompt))
            })?
        };
        Ok(Rendered { text, answers })
    }

    /// The bytes of a rendered conversation at which the assistant goes on after a prompt, in ascending order: where the text up to
    /// each generation prompt ends, or where an answer begins if the template has no generation prompt to go by.
    pub(crate) fn seams(&self, chat: &Chat<'_>, rendered: &Rendered) -> Vec<usize> {
        let (compiled, context) = self.prepare(chat);
        let mut seams: Vec<usize> = rendered.answers.iter().map(|answer| answer.start).collect();
        if compiled.marks_answers {
            let answered = (0..chat.messages.len()).filter(|&index| chat.messages[index]["role"] == "assistant");
            let prompts: Option<Vec<usize>> = answered
                .map(|index| {
                    let before = compiled.render(&context.with(index, true)).ok()?;
                    rendered.text.starts_with(&before).then_some(before.len())
                })
                .collect();
            seams = prompts.unwrap_or(seams);
        }
        seams.retain(|&seam| seam > 0 && seam < rendered.text.len());
        seams.sort_unstable();
        seams.dedup();
        seams
    }

    fn prepare(&self, chat: &Chat<'_>) -> (&Compiled, Context) {
        let compiled = match (&self.tool_use, chat.tools) {
            (Some(tool_use), Some(_)) => tool_use,
            _ => &self.default,
        };
        let mut variables: Vec<(String, Value)> = Vec::new();
        for (name, value) in self.special_tokens.iter().chain(chat.variables.into_iter().flatten()) {
            variables.push((name.clone(), jinja(value)));
        }
        let tools = chat.tools.map_or(Value::from(()), jinja);
        variables.extend([("tools".to_owned(), tools), ("documents".to_owned(), Value::from(()))]);
        let clock = self.clock;
        let now = Value::from_function(move |format: String| {
            clock
                .tell(&format)
                .map_err(|reason| JinjaError::new(ErrorKind::InvalidOperation, reason))
        });
        variables.push(("strftime_now".to_owned(), now));
        let messages = chat.messages.iter().map(message).collect();
        (compiled, Context { variables, messages })
    }
}

/// A JSON value as one of a template.
fn jinja(value: &Json) -> Value {
    Value::from(Serde(value))
}

/// A message as templates see it: reasoning under the name that most read, and under that of a few, as transformers has
/// it since its version 5.24.
fn message(message: &Json) -> Value {
    let found = Reasoning::NAMES
        .into_iter()
        .find_map(|name| message.get(name).filter(|value| !value.is_null()));
    let (Some(reasoning), Some(fields)) = (found, message.as_object()) else {
        return jinja(message);
    };
    let mut named = Map::new();
    named.insert("thinking".to_owned(), reasoning.clone());
    named.extend(fields.clone());
    named.insert("reasoning_content".to_owned(), reasoning.clone());
    jinja(&Json::Object(named))
}

/// The variables of a template.
struct Context {
    variables: Vec<(String, Value)>,
    messages: Vec<Value>,
}

impl Context {
    /// All of them, with the first `messages` messages alone.
    fn with(&self, messages: usize, add_generation_prompt: bool) -> Vec<(String, Value)> {
        let mut variables = self.variables.clone();
        variables.push(("messages".to_owned(), Value::from(self.messages[..messages].to_vec())));
        variables.push(("add_generation_prompt".to_owned(), Value::from(add_generation_prompt)));
        variables
    }

    fn marked(&self, variables: &[(String, Value)], marks: [char; 2]) -> Vec<(String, Value)> {
        let mut variables = variables.to_vec();
        variables.push((MARKS.to_owned(), Value::from(String::from_iter(marks))));
        variables
    }
}

#[derive(Clone, Debug)]
struct Compiled {
    environment: Arc<Environment<'static>>,
    source: Arc<str>,
    name: Arc<str>,
    marks_answers: bool,
}

impl Compiled {
    fn new(source: &str, name: &str) -> Result<Self> {
        let syntax = |line: usize, reason: String| Error::TemplateSyntax {
            template: name.to_owned(),
            line,
            reason,
        };
        // As Jinja does, wherever they stand.
        let unix = source.replace("\r\n", "\n").replace('\r', "\n");
        let rewritten = rewrite::rewrite(&unix).map_err(|fault| syntax(fault.line, fault.reason.to_owned()))?;
        let mut environment = environment();
        environment
            .add_template_owned(name.to_owned(), rewritten.source)
            .map_err(|error| syntax(error.line().unwrap_or(1), reason_of(&error)))?;
        Ok(Self {
            environment: Arc::new(environment),
            source: source.into(),
            name: name.into(),
            marks_answers: rewritten.blocks > 0,
        })
    }

    fn render(&self, variables: &[(String, Value)]) -> Result<String> {
        let render = || {
            let context = Value::from_pairs(variables.iter().cloned());
            let template = self.environment.get_template(&self.name);
            template
                .and_then(|template| template.render(context))
                .map_err(|error| self.failure(&error))
        };
        // Nothing else keeps a value from one turn of a loop to the next, so that it can grow inwards.
        if self.source.contains("namespace") {
            on_deep_stack(&render)
        } else {
            render()
        }
    }

    fn failure(&self, error: &JinjaError) -> Error {
        let template = self.name.to_string();
        // Blocks, macros and includes each wrap the error of what they hold.
        let mut innermost = error;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(Raised(message)) = error.downcast_ref::<Raised>() {
                let message = message.clone();
                return Error::TemplateRaised { template, message };
            }
            innermost = error.downcast_ref::<JinjaError>().unwrap_or(innermost);
            cause = error.source();
        }
        Error::TemplateFailed {
            template,
            line: innermost.line().or(error.line()).unwrap_or(1),
            reason: reason_of(innermost),
        }
    }
}

/// Runs `work` with room for values that are nested as deep as [`FUEL`] pays for, a million times: each is printed, and dropped,
/// from inside the one that holds it. The room is memory only where it is used.
fn on_deep_stack<T: Send>(work: &(dyn Fn() -> T + Sync)) -> T {
    const SIZE: usize = if cfg!(target_pointer_width = "64") {
        1 << 30
    } else {
        1 << 26
    };
    let deep = std::thread::Builder::new().stack_size(SIZE);
    let result = std::thread::scope(|scope| deep.spawn_scoped(scope, work).map(|thread| thread.join()));
    match result {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        // A system without that much room still has this stack, which does for any template that is meant well.
        Err(_) => work(),
    }
}

fn reason_of(error: &JinjaError) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// The message given to `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

/// Jinja as transformers sets it up.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("Jinja's own delimiters are valid"));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    // Without it errors would name no variable.
    environment.set_debug(true);
    environment.set_unknown_method_callback(python::call_method);
    environment.add_filter(
        "tojson",
        |value: &Value, ensure_ascii: Option<bool>, options: Kwargs| json::tojson(value, ensure_ascii, options),
    );
    environment.set_formatter(|out, _, value| {
        // Nothing is printed for what is undefined, and numbers are as Python has them.
        match (value.is_undefined(), python::float(value)) {
            (true, _) => Ok(()),
            (false, Some(float)) => out.write_str(&float).map_err(JinjaError::from),
            (false, None) => match value.as_str() {
                Some(text) => out.write_str(text).map_err(JinjaError::from),
                None => out.write_str(&python::printed(value)?).map_err(JinjaError::from),
            },
        }
    });
    environment.add_filter("string", python::string);
    environment.add_test("iterable", python::is_iterable);
    environment.add_filter("escape", python::escape);
    environment.add_filter("e", python::escape);
    environment.add_filter(rewrite::FILTER, mark);
    environment.add_function("raise_exception", |message: Value| -> Result<Value, JinjaError> {
        let message = python::printed(&message)?;
        Err(JinjaError::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
    });
    environment
}

/// The body of a generation block, between marks if there are any.
fn mark(state: &State, body: &str) -> String {
    let marks = state.lookup(MARKS);
    match marks
        .as_ref()
        .and_then(|marks| marks.as_str())
        .map(|marks| Vec::from_iter(marks.chars()))
    {
        Some(marks) => format!("{}{body}{}", marks[0], marks[1]),
        None => body.to_owned(),
    }
}
