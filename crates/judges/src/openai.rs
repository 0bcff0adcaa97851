//! A model that ranks by comparing pairs.

mod client;
mod copeland;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rlhf_tasks::{Ranking, stable_hash};

use self::client::Client;
use crate::cache::{self, Cache, Record};
use crate::error::{Error, Result};
use crate::judge_config::JudgeConfig;
use crate::judge_prompt::{Better, JudgePrompt};
use crate::positions::Positions;
use crate::spent::{Spent, Usage};
use crate::task::{RankTask, check_comparable, check_pair};

/// Time between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(50);
/// A question is asked so many times at most, if the judge gives no verdict.
const ASKED_AT_MOST: usize = 2;

/// A judge who is asked over HTTP which of two answers is better.
///
/// Every pair of completions is asked about, in both orders; a pair is a tie if the two verdicts disagree, so that a judge who likes
/// what stands first decides nothing. A completion is ranked by the pairs it wins, ties counting half (Copeland), and the confidence
/// is the share of pairs whose verdicts agree. Completions of the same text are a tie without a question.
///
/// Each verdict is kept in a file as soon as it is there: what was answered once is never asked again.
pub struct OpenAiJudge {
    config: JudgeConfig,
    prompt: JudgePrompt,
    client: Client,
    cache: Mutex<Cache>,
    spent: Mutex<Spent>,
}

impl std::fmt::Debug for OpenAiJudge {
    /// Without the key, which is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAiJudge")
            .field("config", &self.config)
            .field("spent", &self.spent())
            .finish_non_exhaustive()
    }
}

/// A pair of a task's completions in the order in which it is shown.
struct Question<'a> {
    key: String,
    task: &'a RankTask,
    answers: [&'a str; 2],
}

impl OpenAiJudge {
    /// A judge whose verdicts are kept in the file `cache`, which is made if it is not there. The key is read from the environment;
    /// nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Config`] if the settings are at fault; a file of verdicts that cannot be read or written, or holds something else.
    pub fn new(config: &JudgeConfig, cache: &Path) -> Result<Self> {
        config.validate().into_result()?;
        Ok(Self {
            prompt: JudgePrompt::new(config.template())?,
            client: Client::new(config),
            cache: Mutex::new(Cache::open(cache)?),
            spent: Mutex::default(),
            config: config.clone(),
        })
    }

    /// The name under which its rankings are filed: the model's.
    pub fn id(&self) -> &str {
        &self.config.model
    }

    /// The requests so far, and their cost.
    pub fn spent(&self) -> Spent {
        *self.lock_spent()
    }

    /// Ranks the completions of each task. `stop` is looked at between requests.
    ///
    /// # Errors
    /// A task of fewer than two completions; [`Error::Denied`], [`Error::Status`], [`Error::NoAnswer`] or [`Error::Answer`] if the
    /// server does not answer; [`Error::Interrupted`] if `stop` says so. Verdicts that had come are kept.
    pub fn rank(&self, tasks: &[RankTask], stop: &dyn Fn() -> bool) -> Result<Vec<Ranking>> {
        for task in tasks {
            check_comparable(&task.id, task.completions.len())?;
        }
        self.ask_missing(&self.missing(tasks), stop)?;
        let spent = self.spent();
        tracing::info!(
            tasks = tasks.len(),
            requests = spent.asked.requests,
            cached = spent.cached.requests,
            cost = spent.cost,
            "ranked by a judge"
        );
        Ok(tasks.iter().map(|task| self.ranking(task)).collect())
    }

    /// Says of the two completions of each task whether the first is better; nothing where a question had no verdict, for silence is no
    /// tie. Verdicts of both orders that disagree are a tie, and so are completions of the same text.
    ///
    /// # Errors
    /// As [`Self::rank`], and a task of other than two completions.
    pub fn compare(&self, tasks: &[RankTask], stop: &dyn Fn() -> bool) -> Result<Vec<Option<std::cmp::Ordering>>> {
        for task in tasks {
            check_pair(&task.id, task.completions.len())?;
        }
        self.ask_missing(&self.missing(tasks), stop)?;
        Ok(tasks.iter().map(|task| self.outcome(task)).collect())
    }

    /// How far the verdicts on tasks that were [compared](Self::compare) follow the places of the answers; of none in one order.
    pub fn positions(&self, tasks: &[RankTask]) -> Positions {
        let cache = self.lock_cache();
        let verdict = |task: &RankTask, (first, second)| {
            let key = self.question(task, first, second).key;
            cache.get(&key, self.config.max_tokens)?.verdict
        };
        let mut found = Positions::default();
        for task in tasks.iter().filter(|task| task.completions.len() == 2) {
            if let [there, back] = self.orders(task, 0, 1)[..]
                && let (Some(there), Some(back)) = (verdict(task, there), verdict(task, back))
            {
                found.count([there, back]);
            }
        }
        found
    }

    /// The outcome of a task of two completions all of whose questions were asked.
    fn outcome(&self, task: &RankTask) -> Option<std::cmp::Ordering> {
        let cache = self.lock_cache();
        let mut seen = None;
        for (first, second) in self.orders(task, 0, 1) {
            let key = self.question(task, first, second).key;
            let verdict = cache.get(&key, self.config.max_tokens)?.verdict?;
            let verdict = if first == 0 { verdict } else { verdict.swapped() };
            seen = match seen {
                Some(earlier) if earlier != verdict => Some(Better::Tie),
                _ => Some(verdict),
            };
        }
        Some(match seen {
            Some(Better::A) => std::cmp::Ordering::Greater,
            Some(Better::B) => std::cmp::Ordering::Less,
            Some(Better::Tie) | None => std::cmp::Ordering::Equal,
        })
    }

    /// Every question without a verdict, once. Those with one are counted.
    fn missing<'a>(&self, tasks: &'a [RankTask]) -> Vec<Question<'a>> {
        let (cache, mut spent) = (self.lock_cache(), self.lock_spent());
        let mut seen = HashSet::new();
        let mut missing = Vec::new();
        for task in tasks {
            for (i, j) in copeland::pairs(task.completions.len()) {
                for (first, second) in self.orders(task, i, j) {
                    let question = self.question(task, first, second);
                    if !seen.insert(question.key.clone()) {
                        continue;
                    }
                    match cache.get(&question.key, self.config.max_tokens) {
                        Some(record) => spent.cached += record.usage,
                        None => missing.push(question),
                    }
                }
            }
        }
        missing
    }

    /// The orders in which a pair is shown: none if its texts are the same, one drawn by lot if one is enough.
    fn orders(&self, task: &RankTask, i: usize, j: usize) -> Vec<(usize, usize)> {
        let (a, b) = (&task.completions[i], &task.completions[j]);
        if a.trim() == b.trim() {
            return Vec::new();
        }
        if self.config.both_orders {
            return vec![(i, j), (j, i)];
        }
        // By the texts alone, wherever they stand among the completions, so that the verdict is found again.
        let (least, most) = if a <= b { (i, j) } else { (j, i) };
        let texts = [&task.completions[least], &task.completions[most]];
        let is_turned = stable_hash(&[rlhf_data::prompt_key(&task.messages), texts[0], texts[1]]) % 2 == 1;
        vec![if is_turned { (most, least) } else { (least, most) }]
    }

    fn question<'a>(&self, task: &'a RankTask, first: usize, second: usize) -> Question<'a> {
        let answers = [&*task.completions[first], &*task.completions[second]];
        let JudgeConfig { model, temperature, .. } = &self.config;
        Question {
            key: cache::key(model, self.config.template(), *temperature, &task.messages, answers),
            task,
            answers,
        }
    }

    /// Asks several questions at a time, until all are answered, one fails, or it is to stop.
    fn ask_missing(&self, questions: &[Question<'_>], stop: &dyn Fn() -> bool) -> Result<()> {
        if questions.is_empty() {
            return Ok(());
        }
        if stop() {
            return Err(Error::Interrupted);
        }
        let (next, halt) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = |results: mpsc::Sender<Result<()>>| {
            while !halt.load(Ordering::SeqCst)
                && let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let result = self.ask(question, &halt);
                let is_failed = result.is_err();
                // Told before the others are halted: theirs is the later fault.
                if results.send(result).is_err() || is_failed {
                    halt.store(true, Ordering::SeqCst);
                }
            }
        };
        thread::scope(|scope| {
            let (sender, results) = mpsc::channel();
            for _ in 0..self.config.concurrency.min(questions.len()) {
                let sender = sender.clone();
                scope.spawn(|| work(sender));
            }
            drop(sender);
            let mut outcome = Ok(());
            loop {
                let result = match results.recv_timeout(LOOK) {
                    Ok(result) => result,
                    Err(RecvTimeoutError::Timeout) => Ok(()),
                    Err(RecvTimeoutError::Disconnected) => return outcome,
                };
                if outcome.is_ok() {
                    outcome = result.and_then(|()| if stop() { Err(Error::Interrupted) } else { Ok(()) });
                    if outcome.is_err() {
                        halt.store(true, Ordering::SeqCst);
                    }
                }
            }
        })
    }

    /// Asks a question until there is a verdict, and keeps it.
    fn ask(&self, question: &Question<'_>, halt: &AtomicBool) -> Result<()> {
        let [a, b] = question.answers;
        let text = self.prompt.render(&question.task.messages, a, b)?;
        let mut usage = Usage::default();
        let mut verdict = None;
        for _ in 0..ASKED_AT_MOST {
            let reply = self.client.ask(&text, halt)?;
            self.count(reply.usage);
            usage += reply.usage;
            verdict = reply.verdict();
            if verdict.is_some() {
                break;
            }
        }
        if verdict.is_none() {
            tracing::warn!(
                task = question.task.id,
                model = self.config.model,
                max_tokens = self.config.max_tokens,
                "no verdict: a tie in a ranking, missing in a comparison"
            );
        }
        self.lock_cache().insert(Record {
            key: question.key.clone(),
            verdict,
            max_tokens: self.config.max_tokens,
            usage,
        })
    }

    fn count(&self, usage: Usage) {
        let mut spent = self.lock_spent();
        spent.asked += usage;
        let cost = |tokens: u64, price: f64| tokens as f64 / 1e6 * price;
        spent.cost = cost(spent.asked.prompt_tokens, self.config.price_per_million_input)
            + cost(spent.asked.completion_tokens, self.config.price_per_million_output);
    }

    /// The ranking of a task all of whose questions have their verdicts.
    fn ranking(&self, task: &RankTask) -> Ranking {
        let cache = self.lock_cache();
        let verdict = |first, second| {
            let key = self.question(task, first, second).key;
            cache
                .get(&key, self.config.max_tokens)
                .and_then(|record| record.verdict)
        };
        copeland::ranking(task.completions.len(), |i, j| {
            let orders = self.orders(task, i, j);
            // Each as a verdict on `i` and `j`, in this order.
            let seen = |&(first, second): &(usize, usize)| {
                let found = verdict(first, second);
                if first == i { found } else { found.map(Better::swapped) }
            };
            orders.iter().map(seen).collect()
        })
    }

    fn lock_cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
