//! Requests that wait: by class, and within a class account by account in turn.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::request::{Class, Request, Sink};

/// A request that waits.
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) sink: Sink,
}

/// Accounts of a class in the order of their turns, each with what it asked for in the order it asked.
#[derive(Default)]
struct Turns(VecDeque<(String, VecDeque<Waiting>)>);

/// All that wait.
#[derive(Default)]
pub(super) struct Queue {
    classes: BTreeMap<Class, Turns>,
}

impl Queue {
    pub(super) fn push(&mut self, waiting: Waiting) {
        let Turns(accounts) = self.classes.entry(waiting.request.class).or_default();
        let account = &waiting.request.account;
        match accounts.iter_mut().find(|(name, _)| name == account) {
            Some((_, requests)) => requests.push_back(waiting),
            None => accounts.push_back((account.clone(), VecDeque::from([waiting]))),
        }
    }

    /// The next one, if it passes; its account is the last of its class then.
    pub(super) fn next_if(&mut self, passes: impl FnOnce(&Request) -> bool) -> Option<Waiting> {
        let Turns(accounts) = self.classes.values_mut().find(|turns| !turns.0.is_empty())?;
        let (_, requests) = accounts.front_mut()?;
        if !passes(&requests.front()?.request) {
            return None;
        }
        let next = requests.pop_front();
        let account = accounts.pop_front()?;
        if !account.1.is_empty() {
            accounts.push_back(account);
        }
        next
    }

    pub(super) fn len(&self) -> usize {
        let of_class = |turns: &Turns| turns.0.iter().map(|(_, requests)| requests.len()).sum::<usize>();
        self.classes.values().map(of_class).sum()
    }

    /// Takes out those that waited for too long, and those that nobody wants any more.
    pub(super) fn late(&mut self, now: Instant) -> Vec<Waiting> {
        let mut late = Vec::new();
        let is_late = |waiting: &Waiting| {
            waiting.request.is_cancelled() || waiting.request.deadline.is_some_and(|deadline| deadline <= now)
        };
        for Turns(accounts) in self.classes.values_mut() {
            for (_, requests) in accounts.iter_mut().filter(|(_, requests)| requests.iter().any(is_late)) {
                let (gone, stay): (VecDeque<Waiting>, _) = std::mem::take(requests).into_iter().partition(is_late);
                *requests = stay;
                late.extend(gone);
            }
            accounts.retain(|(_, requests)| !requests.is_empty());
        }
        late
    }

    /// Takes out all.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waiting> {
        let classes = std::mem::take(&mut self.classes);
        classes
            .into_values()
            .flat_map(|turns| turns.0.into_iter().flat_map(|(_, requests)| requests))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn waiting(account: &str, class: Class, number: u64) -> Waiting {
        Waiting {
            request: Request {
                account: account.to_owned(),
                class,
                stream: number,
                ..Request::default()
            },
            sink: Box::new(|_| true),
        }
    }

    fn order(queue: &mut Queue) -> Vec<(String, u64)> {
        std::iter::from_fn(|| queue.next_if(|_| true))
            .map(|next| (next.request.account, next.request.stream))
            .collect()
    }

    #[test]
    fn accounts_take_turns_and_chat_goes_first() {
        let mut queue = Queue::default();
        for number in 0..3 {
            queue.push(waiting("a", Class::Api, number));
        }
        queue.push(waiting("b", Class::Api, 0));
        queue.push(waiting("c", Class::Sampling, 0));
        queue.push(waiting("d", Class::Chat, 0));
        assert_eq!(queue.len(), 6);
        let found = order(&mut queue);
        let expected = [("d", 0), ("a", 0), ("b", 0), ("a", 1), ("a", 2), ("c", 0)];
        assert_eq!(found, expected.map(|(account, number)| (account.to_owned(), number)));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn one_that_does_not_pass_keeps_its_turn() {
        let mut queue = Queue::default();
        queue.push(waiting("a", Class::Api, 0));
        queue.push(waiting("b", Class::Api, 0));
        assert!(queue.next_if(|_| false).is_none());
        assert_eq!(order(&mut queue)[0].0, "a");
    }

    #[test]
    fn those_that_waited_too_long_are_taken_out_wherever_they_stand() {
        let now = Instant::now();
        let mut queue = Queue::default();
        for number in 0..4 {
            let mut one = waiting("a", Class::Api, number);
            one.request.deadline = (number % 2 == 1).then_some(now);
            queue.push(one);
        }
        assert!(queue.late(now - Duration::from_secs(1)).is_empty());
        let late: Vec<u64> = queue.late(now).iter().map(|waiting| waiting.request.stream).collect();
        assert_eq!(late, [1, 3]);
        assert_eq!(order(&mut queue).len(), 2);
    }
}
