//! `rlhf serve`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rlhf_core::StopFlag;
use rlhf_inference::engine::{Engine, EngineOptions};
use rlhf_model::WeightPrecision;
use rlhf_pipeline::Locations;
use rlhf_serve::{ServeOptions, Served, Server, check_address};

use super::eval::{NamedModel, check_names};
use super::model::{ModelArgs, ModelFolder, weight_precision};
use crate::error::{Error, Result};
use crate::progress::{note, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A model, by the name that clients ask for: a folder, adapters, a GGUF file or `hf://org/name`; may be given several times
    #[arg(long = "model", value_name = "NAME=DIR", required = true)]
    models: Vec<NamedModel>,
    /// Address to listen at; others than this machine's own need a key
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen at; 0 takes a free one and says which
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Variable of the environment with the keys that clients may show, separated by white space
    #[arg(long, value_name = "NAME")]
    api_keys_env: Option<String>,
    /// Completions that a model writes together, at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    max_running: u16,
    /// Completions that wait beside them, at most: more are told to come again
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    max_waiting: u16,
    /// Seconds that a request may wait and be answered in
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Conversations of each model whose cache is kept for their next turn
    #[arg(long, value_name = "N", default_value_t = 8)]
    kept_prefixes: usize,
    /// Device, as in other commands
    #[arg(long)]
    device: Option<String>,
    /// Storage type of weights: f32, or bf16 for half the memory
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = weight_precision)]
    weights: WeightPrecision,
}

/// Time between two looks at Ctrl-C.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Threads for connections; the models have threads of their own.
const CONNECTION_THREADS: usize = 2;

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    check_names(&args.models)?;
    let options = ServeOptions {
        api_keys: keys(args)?,
        timeout: Duration::from_secs(args.timeout),
        ..ServeOptions::default()
    };
    let address = SocketAddr::new(args.host, args.port);
    check_address(address, &options)
        .map_err(|message| Error::Usage(format!("--host: {message} (--api-keys-env NAME)")))?;
    // Everything about all models is looked at before the weights of any.
    let folders = args.models.iter().map(|model| {
        let args = ModelArgs::new(model.path.clone(), args.device.clone(), args.weights);
        let folder = ModelFolder::open(&args, locations)?;
        folder.tokenizer()?;
        Ok((model, folder))
    });
    let folders = folders.collect::<Result<Vec<_>>>()?;
    let served = folders.into_iter().map(|(model, folder)| {
        let tokenizer = folder.tokenizer()?.clone();
        if let Err(error) = tokenizer.check_conversations() {
            note(&format!("warning: {}: no chat, only completions: {error}", model.name));
        }
        let options = EngineOptions {
            max_running: args.max_running.into(),
            max_waiting: args.max_waiting.into(),
            kept_prefixes: args.kept_prefixes,
            ..EngineOptions::default()
        };
        Ok(Served {
            id: model.name.clone(),
            engine: Engine::start(folder.causal_lm()?, options),
            tokenizer: Arc::new(tokenizer),
            created: SystemTime::now(),
        })
    });
    let server = Server::new(served.collect::<Result<Vec<_>>>()?, options);
    listen(&server, address)
}

/// The keys of the environment.
fn keys(args: &Args) -> Result<Vec<String>> {
    let Some(name) = &args.api_keys_env else {
        return Ok(Vec::new());
    };
    let text = std::env::var(name).unwrap_or_default();
    let keys: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    match keys.iter().map(String::len).min() {
        None => Err(Error::Usage(format!("--api-keys-env: {name} is not set, or empty"))),
        Some(0..16) => Err(Error::Usage(format!(
            "--api-keys-env: a key of {name} has less than 16 bytes, which can be guessed"
        ))),
        Some(_) => Ok(keys),
    }
}

fn listen(server: &Server, address: SocketAddr) -> Result<()> {
    let fault = |source| Error::Io {
        path: address.to_string().into(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONNECTION_THREADS)
        .thread_name("rlhf-serve")
        .enable_all()
        .build()
        .map_err(fault)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(fault)?;
        let own = listener.local_addr().map_err(fault)?;
        say(&format!("listening at http://{own}/v1"))?;
        server.serve(listener, stopped()).await.map_err(fault)
    })
}

/// Done once the user pressed Ctrl-C, or the process was told to end.
async fn stopped() {
    let stop = StopFlag::process();
    while !stop.requested() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    note("no new requests; those that are being answered are answered (Ctrl-C again ends at once)");
}
