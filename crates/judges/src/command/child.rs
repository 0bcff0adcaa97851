//! A running program and the threads that keep its pipes moving.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, excerpt};

/// Bytes of a line of output at most.
const LINE_BYTES: u64 = 16 << 20;
/// Bytes of a line of the standard error; longer ones are cut in pieces.
const STDERR_LINE_BYTES: u64 = 1 << 10;
/// Lines of the standard error that are kept.
const STDERR_LINES: usize = 20;
/// Lines of output that may wait to be looked at.
const WAITING_LINES: usize = 256;
/// Time for a program to end of itself, once its input or its output is closed.
const GRACE: Duration = Duration::from_millis(200);

/// A line of output.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: usize,
    /// Its content, with the end of the line.
    pub(super) bytes: Vec<u8>,
}

/// The last lines of the standard error.
type Tail = Arc<Mutex<VecDeque<String>>>;

/// A program, its input, and its output so far. Dropping stops it.
#[derive(Debug)]
pub(super) struct Running {
    program: String,
    child: Child,
    /// Bytes for its input, which is closed when this is.
    input: Option<Sender<Vec<u8>>>,
    output: Receiver<Vec<u8>>,
    lines: usize,
    stderr: Tail,
    /// Closed when the standard error is.
    stderr_end: Receiver<()>,
}

impl Running {
    pub(super) fn start(program: &[String]) -> Result<Self> {
        let name = program.join(" ");
        let (first, arguments) = program.split_first().expect("the settings were checked");
        let spawned = std::process::Command::new(first)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|source| Error::Start {
            program: name.clone(),
            source,
        })?;
        let (input, rows) = mpsc::channel();
        let (lines, output) = mpsc::sync_channel(WAITING_LINES);
        let (ended, stderr_end) = mpsc::channel();
        let stderr = Tail::default();
        let (stdin, stdout, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let tail = Arc::clone(&stderr);
        // None of them is joined: what the program has started may hold its pipes open longer than it runs.
        thread::spawn(move || stdin.map(|pipe| write_rows(pipe, &rows)));
        thread::spawn(move || stdout.map(|pipe| read_lines(pipe, &lines)));
        thread::spawn(move || errors.map(|pipe| keep_tail(pipe, &tail, ended)));
        Ok(Self {
            program: name,
            child,
            input: Some(input),
            output,
            lines: 0,
            stderr,
            stderr_end,
        })
    }

    /// The number of the process.
    #[cfg(all(test, unix))]
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Hands rows over and waits for as many lines.
    pub(super) fn exchange(&mut self, rows: Vec<u8>, expected: usize, timeout: Duration) -> Result<Vec<Line>> {
        self.refuse_unasked()?;
        if let Some(input) = &self.input {
            // A program that has closed its input says so by its output, which ends too.
            input.send(rows).ok();
        }
        let started = Instant::now();
        let mut lines = Vec::with_capacity(expected);
        while lines.len() < expected {
            let left = timeout.saturating_sub(started.elapsed());
            match self.output.recv_timeout(left) {
                Ok(bytes) => lines.extend(self.counted(bytes)?),
                Err(RecvTimeoutError::Timeout) => return Err(self.timed_out(timeout, lines.len(), expected)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(lines.len(), expected)),
            }
        }
        self.refuse_unasked()?;
        Ok(lines)
    }

    /// A line with its number; nothing if it is blank.
    fn counted(&mut self, bytes: Vec<u8>) -> Result<Option<Line>> {
        self.lines += 1;
        let number = self.lines;
        if bytes.len() as u64 > LINE_BYTES {
            return Err(Error::Line {
                program: self.program.clone(),
                line: number,
                expected: format!("a line of at most {LINE_BYTES} bytes"),
                found: "a longer one".to_owned(),
            });
        }
        let is_blank = bytes.iter().all(u8::is_ascii_whitespace);
        Ok((!is_blank).then_some(Line { number, bytes }))
    }

    /// A fault if there are lines for which there was no row.
    fn refuse_unasked(&mut self) -> Result<()> {
        while let Ok(bytes) = self.output.try_recv() {
            if let Some(line) = self.counted(bytes)? {
                return Err(Error::Line {
                    program: self.program.clone(),
                    line: line.number,
                    expected: "no more lines than rows were handed over".to_owned(),
                    found: excerpt(&String::from_utf8_lossy(&line.bytes)),
                });
            }
        }
        Ok(())
    }

    fn timed_out(&mut self, timeout: Duration, answered: usize, expected: usize) -> Error {
        self.stop(Duration::ZERO);
        Error::TimedOut {
            program: self.program.clone(),
            seconds: timeout.as_secs_f64(),
            answered,
            expected,
            stderr: self.last_words(),
        }
    }

    fn ended(&mut self, answered: usize, expected: usize) -> Error {
        let status = self.stop(GRACE);
        Error::Ended {
            program: self.program.clone(),
            status,
            answered,
            expected,
            stderr: self.last_words(),
        }
    }

    /// The last lines of the standard error, once it is closed; what there is of them if it stays open.
    fn last_words(&self) -> String {
        self.stderr_end.recv_timeout(GRACE).ok();
        let tail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = tail.iter().map(String::as_str).collect();
        lines.join("\n")
    }

    /// Ends the program: its status if it ended of itself in time, else it is killed.
    fn stop(&mut self, grace: Duration) -> Option<ExitStatus> {
        self.input = None;
        let started = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if started.elapsed() < grace => thread::sleep(Duration::from_millis(2)),
                _ => break,
            }
        }
        // It may have ended in between; either way it is waited for, so that no zombie remains.
        self.child.kill().ok();
        self.child.wait().ok();
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(GRACE);
    }
}

fn write_rows(mut pipe: ChildStdin, rows: &Receiver<Vec<u8>>) {
    for bytes in rows {
        if pipe.write_all(&bytes).and_then(|()| pipe.flush()).is_err() {
            return;
        }
    }
}

fn read_lines(pipe: ChildStdout, lines: &SyncSender<Vec<u8>>) {
    let mut reader = BufReader::new(pipe);
    while let Some(line) = next_line(&mut reader, LINE_BYTES + 1) {
        if lines.send(line).is_err() {
            return;
        }
    }
}

fn keep_tail(pipe: ChildStderr, tail: &Tail, end: Sender<()>) {
    let mut reader = BufReader::new(pipe);
    while let Some(line) = next_line(&mut reader, STDERR_LINE_BYTES) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        tracing::debug!(line, "standard error of the command");
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_back(line);
        if tail.len() > STDERR_LINES {
            tail.pop_front();
        }
    }
    drop(end);
}

/// A line with its end, or so many bytes of it; nothing at the end of the pipe.
fn next_line(reader: &mut impl BufRead, most: u64) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let read = reader.take(most).read_until(b'\n', &mut line);
    read.is_ok_and(|length| length > 0).then_some(line)
}
