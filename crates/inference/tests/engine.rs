//! The engine beside the generator: the same text alone and in company, and nobody who waits for nothing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use rlhf_inference::engine::{Class, Drawn, End, Engine, EngineCounts, EngineOptions, Event, Penalties, Request};
use rlhf_inference::{Error, GenerateOptions, Generator, Sampling};
use rlhf_model::{CausalLm, Gpt2Config};

const VOCAB: usize = 60;
const EOS: u32 = 2;

fn model() -> CausalLm {
    let config = Gpt2Config {
        vocab_size: VOCAB,
        n_positions: 256,
        n_embd: 32,
        n_layer: 2,
        n_head: 2,
        // Weights large enough that the next token depends on those before it.
        initializer_range: 0.3,
        ..Default::default()
    };
    CausalLm::init(&config.into(), 1, &Device::flex())
}

fn prompt(number: usize, len: usize) -> Vec<u32> {
    (0..len)
        .map(|at| 3 + ((number * 31 + at * 7 + at * at) % (VOCAB - 3)) as u32)
        .collect()
}

fn request(number: usize, len: usize) -> Request {
    Request {
        prompt: prompt(number, len),
        max_new_tokens: 24,
        stop_token_ids: vec![EOS],
        seed: 5,
        stream: number as u64,
        account: format!("account {number}"),
        ..Default::default()
    }
}

/// Asks; the events come out at the other end.
fn ask(engine: &Engine, request: Request) -> Receiver<Event> {
    let (send, receive) = channel();
    engine
        .submit(request, Box::new(move |event| send.send(event).is_ok()))
        .unwrap();
    receive
}

fn answer(events: &Receiver<Event>) -> (Vec<Drawn>, End) {
    let mut tokens = Vec::new();
    loop {
        match events.recv_timeout(Duration::from_secs(60)).expect("it goes on") {
            Event::Token(drawn) => tokens.push(drawn),
            Event::End(end) => return (tokens, end),
        }
    }
}

fn ids(drawn: &[Drawn]) -> Vec<u32> {
    drawn.iter().map(|drawn| drawn.token).collect()
}

/// What the generator writes of a request alone.
fn alone(generator: &Generator, request: &Request) -> Vec<u32> {
    let options = GenerateOptions {
        max_new_tokens: request.max_new_tokens,
        eos_token_id: EOS,
        sampling: request.sampling.clone(),
        seed: request.seed,
        first_stream: request.stream,
        ..Default::default()
    };
    generator.generate(&[&request.prompt], &options).unwrap()[0]
        .tokens
        .clone()
}

/// Waits until it is so.
fn until(engine: &Engine, is_so: impl Fn(EngineCounts) -> bool) {
    let begun = Instant::now();
    while !is_so(engine.counts()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", engine.counts());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn many_at_once_write_what_each_writes_alone() {
    let generator = Generator::new(&model());
    let options = EngineOptions {
        max_running: 5,
        prefill_tokens: 8,
        ..Default::default()
    };
    let engine = Engine::start(model(), options);
    let samplings = [
        Sampling::default(),
        Sampling::greedy(),
        Sampling {
            top_k: 5,
            repetition_penalty: 1.3,
            ..Sampling::default()
        },
    ];
    let requests: Vec<Request> = (0..24)
        .map(|number| Request {
            sampling: samplings[number % 3].clone(),
            max_new_tokens: 10 + number,
            // Longer than a piece, shorter, and of one token.
            ..request(number, [1, 40, 7, 90][number % 4])
        })
        .collect();
    let events: Vec<Receiver<Event>> = requests.iter().map(|request| ask(&engine, request.clone())).collect();
    for (request, events) in requests.iter().zip(&events) {
        let (drawn, end) = answer(events);
        assert_eq!(ids(&drawn), alone(&generator, request), "{request:?}");
        let ended = drawn.last().is_some_and(|last| last.token == EOS);
        assert_eq!(end, if ended { End::Stop } else { End::Length });
    }
    until(&engine, |counts| counts.running == 0);
    let counts = engine.counts();
    assert_eq!(
        counts.prompt_tokens,
        requests.iter().map(|request| request.prompt.len() as u64).sum::<u64>()
    );
    assert!(
        counts.steps < counts.generated_tokens / 2,
        "rows go together: {counts:?}"
    );
}

#[test]
fn log_probabilities_are_the_models_whatever_the_sampling() {
    let engine = Engine::start(model(), EngineOptions::default());
    let (drawn, _) = answer(&ask(
        &engine,
        Request {
            sampling: Sampling {
                temperature: 0.3,
                top_k: 3,
                ..Sampling::default()
            },
            top_logprobs: Some(4),
            ..request(1, 12)
        },
    ));
    let mut text = prompt(1, 12);
    for drawn in drawn {
        let plain = Request {
            prompt: text.clone(),
            max_new_tokens: 1,
            sampling: Sampling::greedy(),
            top_logprobs: Some(VOCAB),
            ..request(1, 12)
        };
        let (first, _) = answer(&ask(&engine, plain));
        let of = |token: u32| first[0].top.iter().find(|(other, _)| *other == token).unwrap().1;
        assert!((drawn.logprob.unwrap() - of(drawn.token)).abs() < 1e-4);
        assert_eq!(drawn.top.len(), 4);
        assert!((drawn.top[0].1 - first[0].top[0].1).abs() < 1e-4);
        let total: f64 = first[0].top.iter().map(|(_, logprob)| f64::from(*logprob).exp()).sum();
        assert!((total - 1.0).abs() < 1e-5);
        text.push(drawn.token);
    }
}

#[test]
fn a_second_turn_reads_its_new_tokens_alone_and_writes_the_same() {
    let generator = Generator::new(&model());
    let engine = Engine::start(model(), EngineOptions::default());
    let first = request(1, 60);
    let (drawn, _) = answer(&ask(&engine, first.clone()));
    until(&engine, |counts| counts.running == 0);
    let mut text = [first.prompt.clone(), ids(&drawn)].concat();
    text.extend(prompt(9, 10));
    let second = Request {
        prompt: text.clone(),
        ..first.clone()
    };
    let before = engine.counts();
    let (again, _) = answer(&ask(&engine, second.clone()));
    assert_eq!(ids(&again), alone(&generator, &second));
    let counts = engine.counts();
    // All but the last token of the first turn, which was drawn and not read.
    assert_eq!(counts.cached_tokens - before.cached_tokens, 60 + drawn.len() as u64 - 1);
    // A branch: the same beginning, another question.
    let mut other = first.prompt.clone();
    other.extend(prompt(4, 12));
    let branch = Request {
        prompt: other,
        ..first.clone()
    };
    let before = engine.counts();
    assert_eq!(
        ids(&answer(&ask(&engine, branch.clone())).0),
        alone(&generator, &branch)
    );
    assert_eq!(engine.counts().cached_tokens - before.cached_tokens, 60);
    // Somebody else who asks the same finds nothing.
    let stranger = Request {
        account: "somebody else".to_owned(),
        ..second
    };
    let before = engine.counts();
    answer(&ask(&engine, stranger));
    assert_eq!(engine.counts().cached_tokens, before.cached_tokens);
}

#[test]
fn whoever_goes_leaves_at_the_next_step() {
    let engine = Engine::start(model(), EngineOptions::default());
    let long = |number| Request {
        max_new_tokens: 200,
        stop_token_ids: Vec::new(),
        ..request(number, 5)
    };
    let stays = ask(&engine, long(0));
    let (is_gone, told_after) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (send, receive) = channel();
    for number in 1..20 {
        let (is_gone, told_after, send) = (Arc::clone(&is_gone), Arc::clone(&told_after), send.clone());
        let sink = move |_| {
            let is_gone = is_gone.load(Ordering::SeqCst);
            if is_gone {
                told_after.fetch_add(1, Ordering::SeqCst);
            } else if send.send(number).is_err() {
                return false;
            }
            !is_gone
        };
        engine.submit(long(number), Box::new(sink)).unwrap();
    }
    // All are being written.
    let mut begun = [false; 20];
    begun[0] = true;
    while !begun.iter().all(|begun| *begun) {
        begun[receive.recv_timeout(Duration::from_secs(60)).unwrap()] = true;
    }
    is_gone.store(true, Ordering::SeqCst);
    assert_eq!(answer(&stays).0.len(), 200);
    until(&engine, |counts| counts.running == 0);
    let told = told_after.load(Ordering::SeqCst);
    assert!(told <= 19, "each is told once at most that nobody listens: {told}");
}

#[test]
fn a_request_that_waits_can_be_given_up_or_come_too_late() {
    let options = EngineOptions {
        max_running: 1,
        ..Default::default()
    };
    let engine = Engine::start(model(), options);
    let busy = ask(
        &engine,
        Request {
            max_new_tokens: 240,
            stop_token_ids: Vec::new(),
            ..request(0, 5)
        },
    );
    busy.recv_timeout(Duration::from_secs(60)).unwrap();
    let flag = Arc::new(AtomicBool::new(true));
    let given_up = ask(
        &engine,
        Request {
            cancelled: Some(Arc::clone(&flag)),
            ..request(1, 5)
        },
    );
    let late = ask(
        &engine,
        Request {
            deadline: Some(Instant::now()),
            ..request(2, 5)
        },
    );
    assert_eq!(late.recv_timeout(Duration::from_secs(60)), Ok(Event::End(End::Queued)));
    assert_eq!(
        given_up.recv_timeout(Duration::from_secs(60)),
        Ok(Event::End(End::Queued))
    );
    assert!(flag.load(Ordering::Relaxed));
    let (_, end) = answer(&busy);
    assert_eq!(end, End::Length);
}

#[test]
fn what_cannot_be_served_is_refused_at_once() {
    let options = EngineOptions {
        max_running: 1,
        max_waiting: 2,
        ..Default::default()
    };
    let engine = Engine::start(model(), options);
    let refused = |request: Request| engine.submit(request, Box::new(|_| true)).unwrap_err();
    let mut empty = request(0, 1);
    empty.prompt.clear();
    assert!(matches!(refused(empty), Error::EmptyPrompt { .. }));
    assert!(matches!(refused(request(0, 250)), Error::TooLong { context: 256, .. }));
    let mut unknown = request(0, 3);
    unknown.prompt[1] = 60;
    assert!(matches!(refused(unknown), Error::UnknownToken { id: 60, .. }));
    let mut loud = request(0, 3);
    loud.penalties.presence = 3.0;
    assert!(refused(loud).to_string().contains("presence"));
    let long = Request {
        max_new_tokens: 240,
        stop_token_ids: Vec::new(),
        ..request(0, 5)
    };
    let busy = ask(&engine, long.clone());
    busy.recv_timeout(Duration::from_secs(60)).unwrap();
    let waiting: Vec<_> = (0..2).map(|_| ask(&engine, long.clone())).collect();
    assert!(matches!(refused(long), Error::Overloaded { waiting: 2 }));
    drop(waiting);
    assert_eq!(engine.counts().waiting, 2);
    // Whoever is on the way when the engine ends is told.
    drop(engine);
    let last = busy.iter().last();
    assert_eq!(last, Some(Event::End(End::Stopped)));
}

#[test]
fn chat_goes_before_programs_and_accounts_take_turns() {
    let options = EngineOptions {
        max_running: 1,
        ..Default::default()
    };
    let engine = Engine::start(model(), options);
    let (send, receive) = channel();
    let ask = |name: &str, class: Class, tokens: usize| {
        let (send, tag) = (send.clone(), name.to_owned());
        let request = Request {
            account: name.split(' ').next().unwrap_or_default().to_owned(),
            class,
            max_new_tokens: tokens,
            stop_token_ids: Vec::new(),
            ..request(0, 5)
        };
        let sink = move |event| send.send((tag.clone(), event)).is_ok();
        engine.submit(request, Box::new(sink)).unwrap();
    };
    ask("busy", Class::Sampling, 240);
    receive.recv_timeout(Duration::from_secs(60)).unwrap();
    for name in ["a 1", "a 2", "a 3", "b 1"] {
        ask(name, Class::Api, 1);
    }
    ask("c 1", Class::Chat, 1);
    drop(send);
    let mut ended = Vec::new();
    while ended.len() < 6 {
        if let (name, Event::End(_)) = receive.recv_timeout(Duration::from_secs(60)).unwrap() {
            ended.push(name);
        }
    }
    assert_eq!(ended, ["busy", "c 1", "a 1", "b 1", "a 2", "a 3"]);
}

#[test]
fn penalties_and_biases_change_what_is_drawn() {
    let engine = Engine::start(model(), EngineOptions::default());
    let ask = |penalties: Penalties| {
        let request = Request {
            sampling: Sampling::greedy(),
            penalties,
            stop_token_ids: Vec::new(),
            ..request(3, 9)
        };
        ids(&answer(&ask(&engine, request)).0)
    };
    let of_bias = |bias| Penalties {
        bias,
        ..Penalties::default()
    };
    assert!(ask(of_bias(vec![(17, 100.0)])).iter().all(|&token| token == 17));
    let plain = ask(Penalties::default());
    let without = ask(of_bias(vec![(plain[0], -100.0)]));
    assert!(!without.contains(&plain[0]), "{without:?}");
    // A token that everything speaks for comes back once its frequency is held against it.
    let often = ask(Penalties {
        frequency: 2.0,
        presence: 2.0,
        bias: vec![(17, 9.0)],
    });
    let count = often.iter().filter(|&&token| token == 17).count();
    assert!((1..24).contains(&count), "{often:?}");
}
