//! `rlhf chat`.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rlhf_core::StopFlag;
use rlhf_data::{Message, Tokenizer};
use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_pipeline::Locations;

use super::break_if;
use super::model::{ModelArgs, ModelFolder};
use super::output::Output;
use super::sampling::SamplingArgs;
use super::turns::{Conversation, NoWindow};
use crate::error::{Error, Result};
use crate::progress::note;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Standing instructions, before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Append conversations that got a thumb as JSON lines: {"messages":[…],"thumb":"up"}, or "down"
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Tokens of an answer at most
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_new_tokens: usize,
    #[command(flatten)]
    sampling: SamplingArgs,
}

const HELP: &str = "/reset  begin a new conversation
/good   save the conversation with a thumb up (needs --save)
/bad    save it with a thumb down
/quit   leave, as does the end of the input";

/// Time between two looks at Ctrl-C while waiting for input.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    if args.max_new_tokens == 0 {
        return Err(Error::Usage("--max-new-tokens: 0, expected at least 1".into()));
    }
    let sampling = args.sampling.sampling()?;
    let folder = ModelFolder::open(&args.model, locations)?;
    let save = args.save.as_deref().map(Saved::open).transpose()?;
    let mut chat = Chat {
        tokenizer: folder.tokenizer()?,
        context: folder.context(),
        max_new_tokens: args.max_new_tokens,
        generator: Generator::new(&folder.causal_lm()?),
        sampling,
        seed: args.sampling.seed,
        conversation: Conversation::new(args.system.as_deref()),
        answers: 0,
        save,
        output: Output::open(),
    };
    let is_terminal = std::io::stdin().is_terminal();
    if is_terminal {
        note(&format!("{}; /help lists the commands", folder.path().display()));
    }
    let lines = lines();
    loop {
        if is_terminal {
            chat.show("> ")?;
        }
        let Some(line) = next_line(&lines)? else {
            break;
        };
        if chat.turn(line.trim())?.is_break() {
            break;
        }
    }
    if is_terminal {
        chat.show("\n")?;
    }
    Ok(())
}

/// Reads standard input on a thread, so that Ctrl-C is noticed while nothing is typed.
fn lines() -> Receiver<std::io::Result<String>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

/// The next line; nothing at the end of the input and after Ctrl-C.
fn next_line(lines: &Receiver<std::io::Result<String>>) -> Result<Option<String>> {
    let stop = StopFlag::process();
    loop {
        match lines.recv_timeout(LOOK_EVERY) {
            Ok(line) => {
                let line = line.map_err(|source| Error::Io {
                    path: "standard input".into(),
                    source,
                })?;
                return Ok(Some(line));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if stop.requested() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

struct Chat<'a> {
    tokenizer: &'a Tokenizer,
    context: usize,
    max_new_tokens: usize,
    generator: Generator,
    sampling: Sampling,
    seed: u64,
    conversation: Conversation,
    /// Answers so far; each draws from a random stream of its own.
    answers: u64,
    save: Option<Saved>,
    output: Output,
}

impl Chat<'_> {
    /// Takes one line: a command or a message.
    fn turn(&mut self, line: &str) -> Result<ControlFlow<()>> {
        match line {
            "" => {}
            "/quit" | "/exit" => return Ok(ControlFlow::Break(())),
            "/reset" => self.conversation.reset(),
            "/good" => self.judge("up")?,
            "/bad" => self.judge("down")?,
            "/help" => note(HELP),
            command if command.starts_with('/') => note(&format!("{command}: unknown; there are\n{HELP}")),
            message => return self.answer(message),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn answer(&mut self, message: &str) -> Result<ControlFlow<()>> {
        self.conversation.push(Message::user(message));
        // An answer gets what it may need, but no more than half of a small context.
        let room = self.context - self.max_new_tokens.min(self.context / 2);
        let window = match self.conversation.window(self.tokenizer, room) {
            Ok(window) => window,
            Err(reason) => {
                self.conversation.pop();
                note(&match reason {
                    NoWindow::TooLong(tokens) => {
                        format!("that makes {tokens} tokens, and {room} fit: try a shorter message")
                    }
                    NoWindow::Refused(error) => error.to_string(),
                });
                return Ok(ControlFlow::Continue(()));
            }
        };
        if window.dropped > 0 {
            note(&format!(
                "(the context is full: the first {} messages are left out)",
                window.dropped
            ));
        }
        let options = GenerateOptions {
            max_new_tokens: self.max_new_tokens.min(self.context - window.ids.len()),
            eos_token_id: self.tokenizer.eos_token_id(),
            stop_token_ids: self.tokenizer.other_eos_token_ids().to_vec(),
            sampling: self.sampling.clone(),
            seed: self.seed,
            first_stream: self.answers,
            batch_size: 1,
            ..GenerateOptions::default()
        };
        self.answers += 1;
        let text = self.stream(&window.ids, &options)?;
        self.conversation.push(Message::assistant(text));
        Ok(break_if(StopFlag::process().requested()))
    }

    /// Writes an answer as it comes and returns it; Ctrl-C ends it.
    fn stream(&mut self, prompt: &[u32], options: &GenerateOptions) -> Result<String> {
        let stop = StopFlag::process();
        let mut decoder = self.tokenizer.decode_stream();
        let (mut text, mut written) = (String::new(), Ok(()));
        let output = &mut self.output;
        self.generator.generate_streaming(&[prompt], options, &mut |_, id| {
            if let Some(piece) = decoder.push(id) {
                text.push_str(&piece);
                written = output.text(&piece).and_then(|()| output.flush());
            }
            break_if(written.is_err() || stop.requested())
        })?;
        written?;
        let rest = decoder.finish().unwrap_or_default();
        self.show(&format!("{rest}\n"))?;
        Ok(text + &rest)
    }

    fn judge(&mut self, thumb: &str) -> Result<()> {
        match &mut self.save {
            _ if !self.conversation.is_answered() => note("there is no answer to judge yet"),
            None => note("start with --save FILE to keep what you judge"),
            Some(saved) => {
                saved.append(&format!("{}\n", self.conversation.row(thumb)))?;
                note(&format!("saved, thumb {thumb}"));
            }
        }
        Ok(())
    }

    fn show(&mut self, text: &str) -> Result<()> {
        self.output.text(text)?;
        self.output.flush()
    }
}

/// A file that conversations are appended to.
struct Saved {
    path: PathBuf,
    file: File,
}

impl Saved {
    fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    fn append(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).map_err(|source| Error::Io {
            path: self.path.clone(),
            source,
        })
    }
}
