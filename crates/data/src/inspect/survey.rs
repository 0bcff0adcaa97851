//! What is counted while the rows of a file go by.

use std::collections::{BTreeMap, HashSet};

use super::{DataKind, Fit, InspectOptions, Inspection, Lengths, LostText, ShownRow};
use crate::error::Result;
use crate::origin::Origin;
use crate::read::{Loaded, TOLD};
use crate::tokenizer::Tokenizer;
use crate::types::{Comparison, Message, Reasoning, prompt_key};

/// Things of a kind, and the lines of the first rows that have some.
#[derive(Default)]
pub(super) struct Counted {
    count: usize,
    lines: Vec<usize>,
}

impl Counted {
    pub(super) fn add(&mut self, count: usize, origin: &Origin) {
        self.count += count;
        if count > 0 && self.lines.len() < TOLD {
            self.lines.extend(origin.line());
        }
    }
}

/// Counts while rows go by.
pub(super) struct Survey<'a> {
    tokenizer: Option<&'a Tokenizer>,
    prompts: HashSet<String>,
    rows: HashSet<String>,
    duplicate_rows: usize,
    completions_per_row: BTreeMap<usize, usize>,
    tied: Counted,
    pub(super) answers_not_learnt: Counted,
    decided_pairs: usize,
    longer: usize,
    uneven: usize,
    labelers: BTreeMap<String, usize>,
    messages_per_row: BTreeMap<usize, usize>,
    words: BTreeMap<&'static str, Vec<usize>>,
    tokens: BTreeMap<&'static str, Vec<usize>>,
    lost: Option<LostText>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(tokenizer: Option<&'a Tokenizer>) -> Self {
        Self {
            tokenizer,
            prompts: HashSet::new(),
            rows: HashSet::new(),
            duplicate_rows: 0,
            completions_per_row: BTreeMap::new(),
            tied: Counted::default(),
            answers_not_learnt: Counted::default(),
            decided_pairs: 0,
            longer: 0,
            uneven: 0,
            labelers: BTreeMap::new(),
            messages_per_row: BTreeMap::new(),
            words: BTreeMap::new(),
            tokens: BTreeMap::new(),
            lost: tokenizer.map(|_| LostText::default()),
        }
    }

    pub(super) fn row(&mut self, key: &str, content: &str) {
        self.prompts.insert(key.to_owned());
        self.duplicate_rows += usize::from(!self.rows.insert(content.to_owned()));
    }

    pub(super) fn text(
        &mut self,
        of: &'static str,
        text: &str,
        tokens: impl Fn(&Tokenizer) -> Result<usize>,
    ) -> Result<()> {
        self.words.entry(of).or_default().push(text.split_whitespace().count());
        if let Some(tokenizer) = self.tokenizer {
            self.tokens.entry(of).or_default().push(tokens(tokenizer)?);
        }
        Ok(())
    }

    /// Looks for text of a row that does not come back from its tokens.
    pub(super) fn spelling<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) {
        if let (Some(tokenizer), Some(lost)) = (self.tokenizer, &mut self.lost) {
            lost.row(tokenizer, texts);
        }
    }

    pub(super) fn conversation(&mut self, messages: &[Message], prompt: &[Message]) -> Result<()> {
        let thoughts = messages.iter().filter_map(|message| message.reasoning.as_ref());
        let contents = messages.iter().map(|message| message.content.as_str());
        self.spelling(contents.chain(thoughts.map(Reasoning::text)));
        self.row(prompt_key(messages), &format!("{messages:?}"));
        *self.messages_per_row.entry(messages.len()).or_default() += 1;
        self.prompt(prompt)
    }

    pub(super) fn prompt(&mut self, prompt: &[Message]) -> Result<()> {
        let text: Vec<&str> = prompt.iter().map(|message| message.content.as_str()).collect();
        self.text("prompt", &text.join("\n"), |tokenizer| {
            Ok(tokenizer.encode_prompt(prompt)?.len())
        })
    }

    pub(super) fn completion(&mut self, prompt: &[Message], completion: &Message) -> Result<()> {
        self.text("completion", &completion.content, |tokenizer| {
            Ok(tokenizer.encode_reply(prompt, completion)?.len())
        })
    }

    pub(super) fn comparison(&mut self, row: &Comparison) -> Result<()> {
        let content = format!("{:?}", (&row.messages, &row.completions, &row.ranking));
        self.row(row.key(), &content);
        let asked = row.messages.iter().map(|message| message.content.as_str());
        self.spelling(asked.chain(row.completions.iter().map(String::as_str)));
        self.prompt(&row.messages)?;
        *self.messages_per_row.entry(row.messages.len()).or_default() += 1;
        for completion in &row.completions {
            self.completion(&row.messages, &Message::assistant(completion.as_str()))?;
        }
        let k = row.completions.len();
        *self.completions_per_row.entry(k).or_default() += 1;
        let pairs = row.pairs();
        self.decided_pairs += pairs.len();
        self.tied.add(k * (k - 1) / 2 - pairs.len(), &row.origin);
        for (winner, loser) in pairs {
            let [won, lost] = [winner, loser].map(|index| row.completions[index].len());
            self.longer += usize::from(won > lost);
            self.uneven += usize::from(won != lost);
        }
        if let Some(labeler) = &row.labeler {
            *self.labelers.entry(labeler.clone()).or_default() += 1;
        }
        Ok(())
    }

    pub(super) fn finish<T>(
        self,
        kind: DataKind,
        loaded: &Loaded<T>,
        options: &InspectOptions,
        fit: Vec<Fit>,
        row: ShownRow,
    ) -> Inspection {
        let in_words = self
            .words
            .into_iter()
            .map(|(of, lengths)| (format!("{of}, words"), lengths));
        let in_tokens = self
            .tokens
            .into_iter()
            .map(|(of, lengths)| (format!("{of}, tokens"), lengths));
        Inspection {
            kind,
            file: loaded.report.files.first().cloned().unwrap_or_default(),
            distinct_prompts: self.prompts.len(),
            duplicate_rows: self.duplicate_rows,
            completions_per_row: self.completions_per_row,
            tied_pairs: self.tied.count,
            tied_lines: self.tied.lines,
            answers_not_learnt: self.answers_not_learnt.count,
            not_learnt_lines: self.answers_not_learnt.lines,
            decided_pairs: self.decided_pairs,
            longer_wins: (self.uneven > 0).then(|| self.longer as f64 / self.uneven as f64),
            labelers: self.labelers,
            messages_per_row: self.messages_per_row,
            lengths: in_words
                .chain(in_tokens)
                .filter_map(|(of, lengths)| Lengths::new(of, lengths))
                .collect(),
            lost: self.lost,
            max_seq_len: options.max_seq_len.filter(|_| options.tokenizer.is_some()),
            fit,
            row,
        }
    }
}
