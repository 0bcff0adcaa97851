//! What conversations that have ended left in the cache.

use std::collections::VecDeque;

use rlhf_model::KvCache;

/// Caches of one row each, the newest last.
#[derive(Debug, Default)]
pub(super) struct Prefixes(VecDeque<Kept>);

#[derive(Debug)]
struct Kept {
    account: String,
    tokens: Vec<u32>,
    cache: KvCache,
}

/// Tokens that have to be the same for a cache to be of use.
const LEAST: usize = 8;

impl Prefixes {
    /// Keeps a cache of these tokens, and no more than `most` of all accounts.
    pub(super) fn put(&mut self, account: &str, tokens: Vec<u32>, cache: KvCache, most: usize) {
        // One that this one goes on from is of no more use.
        self.0
            .retain(|kept| !(kept.account == account && tokens.starts_with(&kept.tokens)));
        self.0.push_back(Kept {
            account: account.to_owned(),
            tokens,
            cache,
        });
        while self.0.len() > most {
            self.0.pop_front();
        }
    }

    /// The cache of the account that has the most tokens of a prompt from its start, and how many: nobody else's, so that nobody learns from
    /// the time an answer takes what others asked.
    pub(super) fn take(&mut self, account: &str, prompt: &[u32]) -> Option<(KvCache, usize)> {
        let shared = |kept: &Kept| kept.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let own = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, kept)| kept.account == account && !account.is_empty());
        let (place, tokens) = own
            .map(|(place, kept)| (place, shared(kept)))
            .max_by_key(|&(_, tokens)| tokens)?;
        if tokens < LEAST {
            return None;
        }
        // A branch of a conversation may be asked for again: only a copy is given where the rest would be lost.
        let kept = &self.0[place];
        if tokens < kept.tokens.len() {
            return Some((kept.cache.clone(), tokens));
        }
        self.0.remove(place).map(|kept| (kept.cache, tokens))
    }
}
