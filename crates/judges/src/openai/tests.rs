//! A judge against a server on this machine: rankings, what is asked and what is not, and what is said of every fault.

use rlhf_data::{Message, Prompt};

use super::server::{Request, Server, longer, said};
use super::*;
use crate::judge_config::TokenLimit;

const NEVER: &dyn Fn() -> bool = &|| false;

fn config(url: &str) -> JudgeConfig {
    JudgeConfig {
        url: url.to_owned(),
        model: "judge".to_owned(),
        api_key_env: "RLHF_JUDGES_NOT_SET".to_owned(),
        price_per_million_input: 2.0,
        price_per_million_output: 8.0,
        ..JudgeConfig::default()
    }
}

/// A judge with an impatience that tests can wait for.
fn judge_of(config: &JudgeConfig, folder: &Path) -> OpenAiJudge {
    let mut judge = OpenAiJudge::new(config, &folder.join("verdicts.jsonl")).unwrap();
    judge
        .client
        .set(None, Duration::from_secs(20), Duration::from_millis(1));
    judge
}

fn task(id: &str, completions: &[&str]) -> RankTask {
    let prompt = Prompt {
        id: id.to_owned(),
        messages: vec![Message::user(format!("Question {id}?"))],
        task: None,
        origin: Default::default(),
    };
    let completions: Vec<String> = completions.iter().map(|text| (*text).to_owned()).collect();
    RankTask::new(&prompt, &completions)
}

fn tasks() -> Vec<RankTask> {
    vec![
        task("a", &["one", "three three", "two two", "one"]),
        task("b", &["x", "yy"]),
    ]
}

#[test]
fn completions_are_ranked_by_the_pairs_they_win() {
    let server = Server::start(|request, _| longer(request));
    let dir = tempfile::tempdir().unwrap();
    let judge = judge_of(&config(&server.url), dir.path());
    let rankings = judge.rank(&tasks(), NEVER).unwrap();
    let ranks: Vec<_> = rankings.iter().map(|ranking| ranking.ranks.clone()).collect();
    assert_eq!(ranks, [vec![2, 0, 1, 2], vec![1, 0]]);
    assert!(rankings.iter().all(|ranking| ranking.confidence == 1.0));

    // Of six pairs of the first task one is of equal texts, and two are pairs of others: three are left, each asked both ways.
    let asked = server.asked();
    assert_eq!(asked.len(), 2 * 3 + 2);
    for request in &asked {
        assert_eq!(request.path, "POST /v1/chat/completions HTTP/1.1");
        assert_eq!(request.authorization, None);
        assert_eq!(request.body["model"], "judge");
        assert_eq!(request.body["temperature"], 0.0);
        assert_eq!(request.body["max_tokens"], 512);
        let [a, b] = request.answers();
        assert_ne!(a, b);
        assert!(asked.iter().any(|other| other.answers() == [b, a]));
    }
    let spent = judge.spent();
    let usage = Usage {
        requests: 8,
        prompt_tokens: 800,
        completion_tokens: 80,
    };
    assert_eq!((spent.asked, spent.cached), (usage, Usage::default()));
    // 800 tokens at 2 a million and 80 at 8.
    assert!((spent.cost - 0.002_24).abs() < 1e-12, "{}", spent.cost);
}

#[test]
fn a_second_run_asks_nothing() {
    let server = Server::start(|request, _| longer(request));
    let dir = tempfile::tempdir().unwrap();
    let first = judge_of(&config(&server.url), dir.path())
        .rank(&tasks(), NEVER)
        .unwrap();
    let asked = server.count();
    // Another address: it is no part of what a verdict depends on.
    let judge = judge_of(&config("http://127.0.0.1:1/v1"), dir.path());
    assert_eq!(judge.rank(&tasks(), NEVER).unwrap(), first);
    assert_eq!(server.count(), asked);
    let spent = judge.spent();
    assert_eq!((spent.asked, spent.cost), (Usage::default(), 0.0));
    assert_eq!((spent.cached.requests, spent.cached.prompt_tokens), (8, 800));
    // Another model is asked.
    let other = JudgeConfig {
        model: "other".to_owned(),
        ..config(&server.url)
    };
    judge_of(&other, dir.path()).rank(&tasks(), NEVER).unwrap();
    assert_eq!(server.count(), 2 * asked);
}

#[test]
fn a_judge_who_likes_the_first_place_decides_nothing() {
    let server = Server::start(|_, _| said("A"));
    let dir = tempfile::tempdir().unwrap();
    let rankings = judge_of(&config(&server.url), dir.path())
        .rank(&tasks(), NEVER)
        .unwrap();
    for ranking in rankings {
        assert!(ranking.ranks.iter().all(|rank| *rank == 0), "{ranking:?}");
        assert_eq!(ranking.confidence, 0.0);
    }
}

#[test]
fn comparing_by_the_first_place_is_all_ties_and_reported_as_such() {
    use std::cmp::Ordering::Equal;
    let server = Server::start(|_, _| said("A"));
    let dir = tempfile::tempdir().unwrap();
    let judge = judge_of(&config(&server.url), dir.path());
    let many: Vec<_> = (0..10)
        .map(|id| task(&id.to_string(), &["x", &"y".repeat(id + 1)]))
        .collect();
    assert_eq!(judge.compare(&many, NEVER).unwrap(), vec![Some(Equal); 10]);
    let found = judge.positions(&many);
    assert_eq!((found.pairs, found.agree, found.first, found.second), (10, 0, 10, 0));
    let once = JudgeConfig {
        both_orders: false,
        ..config(&server.url)
    };
    let judge = judge_of(&once, dir.path());
    judge.compare(&many, NEVER).unwrap();
    assert_eq!(judge.positions(&many).pairs, 0, "one order shows nothing of places");
}

#[test]
fn one_order_is_drawn_by_lot_and_is_the_same_wherever_the_texts_stand() {
    let server = Server::start(|request, _| longer(request));
    let dir = tempfile::tempdir().unwrap();
    let once = JudgeConfig {
        both_orders: false,
        ..config(&server.url)
    };
    let judge = judge_of(&once, dir.path());
    let many: Vec<_> = (0..40).map(|id| task(&id.to_string(), &["x", "yy"])).collect();
    let rankings = judge.rank(&many, NEVER).unwrap();
    assert!(rankings.iter().all(|ranking| ranking.ranks == [1, 0]));
    let asked = server.asked();
    let first = asked.iter().filter(|request| request.answers()[0] == "x").count();
    assert_eq!(asked.len(), 40);
    // 20 expected, and a standard deviation of 3.2.
    assert!((8..=32).contains(&first), "{first}");
    let turned: Vec<_> = (0..40).map(|id| task(&id.to_string(), &["yy", "x"])).collect();
    let rankings = judge.rank(&turned, NEVER).unwrap();
    assert!(rankings.iter().all(|ranking| ranking.ranks == [0, 1]));
    assert_eq!(server.count(), 40);
}

#[test]
fn a_busy_server_is_asked_again() {
    let busy = |request: &Request, before: usize| match before {
        0 => Some((
            429,
            "Retry-After: 0",
            r#"{"error": {"message": "slow down"}}"#.to_owned(),
        )),
        1 => Some((503, "X-Nothing: 0", "busy".to_owned())),
        // Closes the connection without an answer.
        2 => None,
        _ => longer(request),
    };
    let server = Server::start(busy);
    let dir = tempfile::tempdir().unwrap();
    let alone = JudgeConfig {
        concurrency: 1,
        ..config(&server.url)
    };
    let ranking = judge_of(&alone, dir.path()).rank(&tasks()[1..], NEVER).unwrap();
    assert_eq!(ranking[0].ranks, [1, 0]);
    assert_eq!(server.count(), 3 + 2);
}

#[test]
fn patience_ends() {
    let server = Server::start(|_, _| {
        Some((
            429,
            "Retry-After: 0",
            r#"{"error": {"message": "slow down"}}"#.to_owned(),
        ))
    });
    let dir = tempfile::tempdir().unwrap();
    let alone = JudgeConfig {
        concurrency: 1,
        retries: 2,
        ..config(&server.url)
    };
    let error = judge_of(&alone, dir.path()).rank(&tasks(), NEVER).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Status {
                status: 429,
                attempts: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().ends_with("status 429 (attempts: 3): slow down"),
        "{error}"
    );
    assert_eq!(server.count(), 3);

    // A day is not waited for.
    let server = Server::start(|_, _| Some((429, "Retry-After: 86400", String::new())));
    let alone = JudgeConfig {
        url: server.url.clone(),
        ..alone
    };
    let error = judge_of(&alone, dir.path()).rank(&tasks(), NEVER).unwrap_err();
    assert!(matches!(error, Error::Status { attempts: 1, .. }), "{error}");
}

#[test]
fn a_server_that_is_silent_is_asked_again_and_then_told() {
    let server = Server::start(|_, _| None);
    let dir = tempfile::tempdir().unwrap();
    let alone = JudgeConfig {
        concurrency: 1,
        retries: 1,
        ..config(&server.url)
    };
    let mut judge = judge_of(&alone, dir.path());
    judge
        .client
        .set(None, Duration::from_millis(50), Duration::from_millis(1));
    let error = judge.rank(&tasks(), NEVER).unwrap_err();
    assert!(matches!(error, Error::NoAnswer { attempts: 2, .. }), "{error}");
    assert!(error.to_string().contains("timeout"), "{error}");
}

#[test]
fn a_refusal_is_told_at_once_and_the_key_is_sent_and_not_shown() {
    let refusal = r#"{"error": {"message": "Incorrect API key provided"}}"#;
    let server = Server::start(move |request, _| match request.authorization.as_deref() {
        Some("Bearer sk-right") => longer(request),
        _ => Some((401, "Retry-After: 0", refusal.to_owned())),
    });
    let dir = tempfile::tempdir().unwrap();
    let alone = JudgeConfig {
        concurrency: 1,
        ..config(&server.url)
    };
    let mut judge = judge_of(&alone, dir.path());
    let error = judge.rank(&tasks(), NEVER).unwrap_err().to_string();
    assert!(
        error.contains("(status 401): Incorrect API key provided; RLHF_JUDGES_NOT_SET is not set"),
        "{error}"
    );
    assert_eq!(server.count(), 1);
    judge
        .client
        .set(Some("sk-wrong"), Duration::from_secs(20), Duration::from_millis(1));
    let error = judge.rank(&tasks(), NEVER).unwrap_err().to_string();
    assert!(
        error.ends_with("the key in RLHF_JUDGES_NOT_SET was sent") && !error.contains("wrong"),
        "{error}"
    );
    judge
        .client
        .set(Some("sk-right"), Duration::from_secs(20), Duration::from_millis(1));
    judge.rank(&tasks(), NEVER).unwrap();
    assert!(!format!("{judge:?}").contains("sk-right"));
}

#[test]
fn an_answer_that_is_none_is_told() {
    let check = |body: &'static str, said: &str| {
        let server = Server::start(move |_, _| Some((200, "X-Nothing: 0", body.to_owned())));
        let dir = tempfile::tempdir().unwrap();
        let alone = JudgeConfig {
            concurrency: 1,
            ..config(&server.url)
        };
        let error = judge_of(&alone, dir.path()).rank(&tasks(), NEVER).unwrap_err();
        assert!(
            matches!(error, Error::Answer { .. }) && error.to_string().contains(said),
            "{error}"
        );
        assert_eq!(server.count(), 1);
    };
    check("<html>", "expected a chat completion, found `<html>` (");
    check(r#"{"object": "list"}"#, r#"no `choices` in `{"object": "list"}`"#);
    check(r#"{"choices": []}"#, "no `choices`");
    let server = Server::start(|_, _| {
        Some((
            404,
            "X-Nothing: 0",
            r#"{"error": {"message": "no model `judge`"}}"#.to_owned(),
        ))
    });
    let dir = tempfile::tempdir().unwrap();
    let error = judge_of(&config(&server.url), dir.path())
        .rank(&tasks(), NEVER)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("status 404 (attempts: 1): no model `judge`"),
        "{error}"
    );
}

#[test]
fn without_a_verdict_it_is_asked_once_more_and_then_a_tie() {
    let server = Server::start(|request, before| match (request.answers(), before) {
        (["x", _], _) => said("I cannot say."),
        (_, 0) => said(""),
        _ => longer(request),
    });
    let dir = tempfile::tempdir().unwrap();
    let alone = JudgeConfig {
        concurrency: 1,
        ..config(&server.url)
    };
    let judge = judge_of(&alone, dir.path());
    let ranking = judge.rank(&tasks()[1..], NEVER).unwrap().remove(0);
    assert_eq!((ranking.ranks, ranking.confidence), (vec![0, 0], 0.0));
    let asked = server.count();
    assert_eq!(asked, 3);
    assert_eq!(judge.spent().asked.requests, 3);
    // That there was none is known, too.
    let judge = judge_of(&alone, dir.path());
    judge.rank(&tasks()[1..], NEVER).unwrap();
    assert_eq!((server.count(), judge.spent().cached.requests), (asked, 3));
    // More tokens may help, with the question that had no verdict.
    let longer_limit = JudgeConfig {
        max_tokens: 2048,
        token_limit: TokenLimit::MaxCompletionTokens,
        ..alone
    };
    judge_of(&longer_limit, dir.path()).rank(&tasks()[1..], NEVER).unwrap();
    let last = server.asked().pop().unwrap();
    assert_eq!(server.count(), asked + 2);
    assert_eq!(last.body["max_completion_tokens"], 2048);
    assert!(last.body.get("max_tokens").is_none());
}

#[test]
fn a_comparison_without_a_verdict_is_missing_and_one_that_depends_on_the_order_a_tie() {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let server = Server::start(|request, _| match request.answers() {
        // In one of the two orders alone.
        ["mute", _] => said("I cannot say."),
        answers if answers.contains(&"first") => said("A"),
        _ => longer(request),
    });
    let dir = tempfile::tempdir().unwrap();
    let judge = judge_of(&config(&server.url), dir.path());
    let pairs = [
        ["x", "yy"],
        ["yyy", "x"],
        ["mute", "x"],
        ["first", "x"],
        ["same", " same"],
        ["aa", "bb"],
    ];
    let tasks: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(id, pair)| task(&id.to_string(), pair))
        .collect();
    let expected = [Some(Less), Some(Greater), None, Some(Equal), Some(Equal), Some(Equal)];
    assert_eq!(judge.compare(&tasks, NEVER).unwrap(), expected);
    // Four have a verdict in both orders; that with "first" follows the place.
    let positions = judge.positions(&tasks);
    assert_eq!((positions.pairs, positions.agree, positions.first), (4, 3, 1));
    // In a ranking, where nobody can be missing, silence is a tie.
    assert_eq!(judge.rank(&tasks[2..3], NEVER).unwrap()[0].ranks, [0, 0]);
    let error = judge.compare(&[task("k", &["a", "b", "c"])], NEVER).unwrap_err();
    assert_eq!(error.to_string(), "task k: 3 completions, expected 2");
}

#[test]
fn an_interruption_loses_nothing() {
    let server = Server::start(|request, _| longer(request));
    let dir = tempfile::tempdir().unwrap();
    let many: Vec<_> = (0..20).map(|id| task(&id.to_string(), &["x", "yy"])).collect();
    let alone = JudgeConfig {
        concurrency: 2,
        ..config(&server.url)
    };
    let judge = judge_of(&alone, dir.path());
    let error = judge.rank(&many, &|| true).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert_eq!(server.count(), 0);
    let error = judge.rank(&many, &|| server.count() >= 5).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    let asked = server.count();
    assert!((5..40).contains(&asked), "{asked}");
    // Cut off in the middle of a line, as by a power failure: that verdict alone is asked for again.
    let path = dir.path().join("verdicts.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), asked);
    drop(judge);
    std::fs::write(&path, &text[..text.len() - 5]).unwrap();
    let rankings = judge_of(&alone, dir.path()).rank(&many, NEVER).unwrap();
    assert!(rankings.iter().all(|ranking| ranking.ranks == [1, 0]));
    assert_eq!(server.count(), 40 + 1);
}

#[test]
fn the_key_is_read_from_the_environment() {
    // A variable that is surely set, and no secret.
    let config = JudgeConfig {
        api_key_env: "CARGO_PKG_NAME".to_owned(),
        ..config("http://127.0.0.1:1/v1/")
    };
    let server = Server::start(|request, _| longer(request));
    let dir = tempfile::tempdir().unwrap();
    let config = JudgeConfig {
        url: format!("{}/", server.url),
        ..config
    };
    let judge = OpenAiJudge::new(&config, &dir.path().join("verdicts.jsonl")).unwrap();
    judge.rank(&tasks(), NEVER).unwrap();
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|request| request.authorization.as_deref() == Some("Bearer rlhf-judges"))
    );
    assert!(asked[0].path.starts_with("POST /v1/chat/completions "));
    assert_eq!(judge.id(), "judge");
}
