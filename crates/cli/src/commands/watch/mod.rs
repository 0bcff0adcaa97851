//! `rlhf watch`: the curves of a run while it goes on.

mod draw;
mod facts;
mod panels;
mod plain;
mod state;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rlhf_core::StopFlag;
use rlhf_curves::Curves;

use self::facts::Facts;
use self::state::{After, Watch};
use crate::error::{Error, Result};
use crate::progress::say;

/// New rows are looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A key, or a signal to end, waits no longer than this.
const WAIT: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the run, which need not have begun
    #[arg(long, value_name = "DIR", default_value = "runs/default")]
    run: PathBuf,
    /// Print the curves once, as text, and end; so it is without this option too where standard output is no terminal
    #[arg(long)]
    once: bool,
}

/// Shows the curves until the user has seen enough.
pub(super) fn run(args: &Args) -> Result<()> {
    if args.once || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let curves = Curves::read(&args.run).map_err(unreadable)?;
        let facts = Facts::read(&args.run, &curves);
        return say(plain::text(&args.run, &curves, &facts).trim_end());
    }
    // From here on a panic, too, gives the terminal back as it was.
    let mut terminal = ratatui::try_init().map_err(of_terminal)?;
    let shown = show(&mut terminal, Watch::new(&args.run));
    let restored = ratatui::try_restore().map_err(of_terminal);
    shown.and(restored)
}

fn show(terminal: &mut ratatui::DefaultTerminal, mut watch: Watch) -> Result<()> {
    let stop = StopFlag::process();
    let mut looked: Option<Instant> = None;
    while !stop.requested() {
        let mut is_new = false;
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            watch.look();
            looked = Some(Instant::now());
            is_new = true;
        }
        // Sizes and keys that came together are shown together.
        while event::poll(if is_new { Duration::ZERO } else { WAIT }).map_err(of_terminal)? {
            is_new = true;
            match event::read().map_err(of_terminal)? {
                Event::Key(key)
                    if key.kind != KeyEventKind::Release && watch.press(key.code, key.modifiers) == After::Leave =>
                {
                    return Ok(());
                }
                _ => {}
            }
        }
        if is_new {
            terminal
                .draw(|frame| draw::draw(frame, &mut watch))
                .map_err(of_terminal)?;
        }
    }
    Ok(())
}

fn of_terminal(source: std::io::Error) -> Error {
    Error::Io {
        path: "the terminal".into(),
        source,
    }
}

fn unreadable(error: rlhf_curves::Error) -> Error {
    Error::Usage(error.to_string())
}
