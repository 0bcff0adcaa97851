//! A server that answers as a rule says, and counts what it is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Value,
}

impl Request {
    /// The question.
    pub(super) fn text(&self) -> &str {
        self.body["messages"][0]["content"].as_str().unwrap()
    }

    /// The answers that it shows, by the tags of the default template.
    pub(super) fn answers(&self) -> [&str; 2] {
        ["answer_a", "answer_b"].map(|tag| {
            let (_, rest) = self.text().split_once(&format!("<{tag}>\n")).unwrap();
            rest.split_once(&format!("\n</{tag}>")).unwrap().0
        })
    }
}

/// An answer: status, a header and a body; nothing closes the connection after a while.
pub(super) type Answer = Option<(u16, &'static str, String)>;

/// A verdict as a model gives it, of 100 tokens and 10.
pub(super) fn said(text: &str) -> Answer {
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    });
    Some((200, "X-Nothing: 0", body.to_string()))
}

/// A judge who likes long answers and says why.
pub(super) fn longer(request: &Request) -> Answer {
    let [a, b] = request.answers().map(str::len);
    let verdict = match a.cmp(&b) {
        std::cmp::Ordering::Greater => "A",
        std::cmp::Ordering::Less => "B",
        std::cmp::Ordering::Equal => "tie",
    };
    said(&format!("A has {a} letters, B has {b}.\n**{verdict}**\n"))
}

/// The server; its thread ends with the process.
pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request by the rule, which is told how many came before it.
    pub(super) fn start(rule: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (shared, rule) = (Arc::clone(&asked), Arc::new(rule));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, rule) = (Arc::clone(&shared), Arc::clone(&rule));
                // A client that goes away is no fault of the server's.
                std::thread::spawn(move || answer(&stream, &shared, &*rule).ok());
            }
        });
        Self { url, asked }
    }

    /// The requests so far.
    pub(super) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn answer(
    stream: &TcpStream,
    asked: &Mutex<Vec<Request>>,
    rule: &(dyn Fn(&Request, usize) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    let request = read_request(stream)?;
    let before = {
        let mut asked = asked.lock().unwrap();
        asked.push(request.clone());
        asked.len() - 1
    };
    let Some((status, header, body)) = rule(&request, before) else {
        std::thread::sleep(Duration::from_millis(100));
        return Ok(());
    };
    let mut stream = stream;
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{header}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let named = |line: &String| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        };
        head.iter().find_map(named)
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Request {
        path: head[0].clone(),
        authorization: header("authorization"),
        body: serde_json::from_slice(&body).unwrap(),
    })
}
