//! Log-probabilities of the requests of questions.

use rlhf_core::{StopFlag, micro_batches, shared_tokens};
use rlhf_data::Tokenizer;
use rlhf_likelihood::{Encoded, Questions, Scored, encode_question};
use rlhf_model::{CausalLm, sequence_greedy, sequence_logprobs};

use crate::error::{Error, Result};
use crate::scores::TOKENS_AT_ONCE;

/// A model that is asked how likely texts are.
pub struct LikelihoodScorer<'a> {
    /// The model.
    pub model: &'a CausalLm,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Tokens that it reads at once, at most.
    pub context: usize,
    /// Looked at between batches.
    pub stop: StopFlag,
    /// Told how many of how many are done.
    pub told: &'a dyn Fn(usize, usize),
}

impl LikelihoodScorer<'_> {
    /// The tokens of all questions. Nothing has gone through the model yet: a fault in the last row costs no minutes.
    ///
    /// # Errors
    /// A row that cannot be encoded, with its place.
    pub fn encode(&self, questions: &Questions) -> Result<Vec<Vec<Encoded>>> {
        let encode = |question| encode_question(self.tokenizer, question, self.context);
        Ok(questions.questions.iter().map(encode).collect::<Result<_, _>>()?)
    }

    /// What the model says of each request of each question; `greedy` asks whether greedy decoding would say it, too. A context that
    /// the requests of a question have in common goes through the model once.
    ///
    /// # Errors
    /// Numbers that are none, or an interruption.
    pub fn score(&self, encoded: &[Vec<Encoded>], greedy: bool) -> Result<Vec<Vec<Scored>>> {
        let tokens = |question: &Vec<Encoded>| {
            shared_tokens(&question.iter().map(|request| &request.ids[..]).collect::<Vec<_>>())
        };
        let lens: Vec<usize> = encoded.iter().map(tokens).collect();
        let mut scored = Vec::with_capacity(encoded.len());
        for part in micro_batches(&lens, TOKENS_AT_ONCE) {
            let questions = &encoded[part];
            let requests: Vec<&Encoded> = questions.iter().flatten().collect();
            let sequences: Vec<&[u32]> = requests.iter().map(|request| &request.ids[..]).collect();
            let from: Vec<usize> = requests.iter().map(|request| request.from).collect();
            let mut found = self.logprobs(&sequences, &from, greedy)?.into_iter();
            scored.extend(
                questions
                    .iter()
                    .map(|question| found.by_ref().take(question.len()).collect()),
            );
            (self.told)(scored.len(), encoded.len());
        }
        Ok(scored)
    }

    /// What the model says of the tokens of each sequence from `from` on.
    pub(crate) fn logprobs(&self, sequences: &[&[u32]], from: &[usize], greedy: bool) -> Result<Vec<Scored>> {
        if self.stop.requested() {
            return Err(Error::Interrupted);
        }
        let (logprobs, said) = if greedy {
            let (logprobs, said) = sequence_greedy(self.model, sequences, from, TOKENS_AT_ONCE);
            (logprobs, Some(said))
        } else {
            let found = sequence_logprobs(self.model, sequences, from, 1.0, TOKENS_AT_ONCE);
            (found.logprobs, None)
        };
        let one = |(number, logprobs): (usize, &Vec<f32>)| Scored {
            logprob: logprobs.iter().map(|&logprob| f64::from(logprob)).sum(),
            tokens: logprobs.len(),
            greedy: said.as_ref().map(|said| said[number].iter().all(|&said| said)),
        };
        let scored: Vec<Scored> = logprobs.iter().enumerate().map(one).collect();
        match scored.iter().find(|scored| !scored.logprob.is_finite()) {
            None => Ok(scored),
            Some(scored) => Err(Error::NotFinite(scored.logprob)),
        }
    }
}
