//! What several commands set up: logging, the runtime, the state folder, this node's key and endpoint.

use std::future::Future;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use etcetera::BaseStrategy as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::{Global, WebArgs};
use super::failure::Failure;
use super::output;
use super::steps::Steps;
use swarm_core::base::{Category, ContentId};
use swarm_host::LogFormat;
use swarm_link::{Endpoint, Identity, IdentityStore, LinkOptions, Origins};
use swarm_node::clock::wall_clock;
use swarm_web_server::Serving;

/// Log lines go to stderr; `RUST_LOG` overrides `-v`.
pub(super) fn logging(verbose: u8) {
    let level = match verbose {
        0 => "swarm=error",
        1 => "swarm=info",
        2 => "swarm=debug,quinn=info",
        _ => "swarm=trace,quinn=debug",
    };
    output::start_log(level, LogFormat::Text);
}

/// A node's log goes to stderr, as its configuration says; it tells what happens without any `-v`.
pub(super) fn node_logging(verbose: u8, format: LogFormat) {
    let level = match verbose {
        0 => "swarm=info",
        1 => "swarm=debug,quinn=info",
        _ => "swarm=trace,quinn=debug",
    };
    output::start_log(level, format);
}

/// Runs a command that moves chunks on a runtime of its own: hashing and disks have cores, too.
pub(super) fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    block_on_threads(swarm_link::network_threads(), command)
}

/// Runs a command that is one step, for as long as no signal comes.
pub(super) fn run_blocking(
    command: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    block_on_threads(1, async {
        let mut interrupts = Interrupts::catch()?;
        Steps::new(&mut interrupts, None).run("working", move |_| command()).await
    })
}

/// Runs a command that can stop at a safe point: the first signal tells it to, the second one ends the process.
pub(super) fn run_until_stopped(
    command: impl FnOnce(Arc<AtomicBool>) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    block_on_threads(1, async {
        let mut interrupts = Interrupts::catch()?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut steps = tokio::task::spawn_blocking({
            let stop = Arc::clone(&stop);
            move || command(stop)
        });
        let done = tokio::select! {
            biased;
            done = &mut steps => done,
            () = interrupts.next() => {
                stop.store(true, Ordering::Relaxed);
                if std::io::stderr().is_terminal() {
                    output::note("stopping at a safe point; Ctrl-C again ends at once");
                }
                tokio::select! {
                    done = &mut steps => done,
                    () = interrupts.next() => return Err(interrupted()),
                }
            }
        };
        done.unwrap_or_else(|_| {
            Err(Failure::new(Category::Other, "working failed: this is a bug, please report it"))
        })
    })
}

fn interrupted() -> Failure {
    Failure::new(Category::Interrupted, "interrupted; run the same command again to go on")
}

/// The same for a command that has next to nothing to do but talk.
pub(super) fn block_on_all_cores(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    block_on_threads(hashing_threads(), command)
}

fn block_on_threads(
    threads: usize,
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    check_threads(threads + hashing_threads() + SPARE_THREADS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(threads)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(|error| Failure::new(Category::Other, format_args!("cannot start threads: {error}")))?;
    let result = runtime.block_on(command);
    // A thread that the system holds, in a read from a pipe or a mount or a write to one, must not keep the process.
    runtime.shutdown_background();
    result
}

/// Whether the system lets this process start so many threads. The runtime and the hashing pool panic where it does not, so it
/// is tried before.
fn check_threads(count: usize) -> Result<(), Failure> {
    let gate = std::sync::RwLock::new(());
    let started = std::thread::scope(|scope| {
        // All live at once, until the gate opens.
        let closed = gate.write();
        let started = (0..count).try_for_each(|_| {
            let wait = || drop(gate.read());
            std::thread::Builder::new().spawn_scoped(scope, wait).map(drop)
        });
        drop(closed);
        started
    });
    started.map_err(|error| {
        let message = format!(
            "cannot start {count} threads: {error}; raise the limit on processes (ulimit -u, or pids.max of the container) and run the same command again"
        );
        Failure::new(Category::Other, message)
    })
}

/// The threads that hash on all cores: for commands without a runtime.
pub(super) fn check_hashing_threads() -> Result<(), Failure> {
    check_threads(hashing_threads())
}

fn hashing_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A write past the limit on file sizes (`ulimit -f`) is then an error with a message; by default the system kills the process,
/// which says nothing. Nothing is done where there is no limit.
pub(super) fn survive_file_limit() {
    use rustix::process::{Resource, getrlimit};
    if getrlimit(Resource::Fsize).current.is_none() {
        return;
    }
    // A handler stays for the life of the process, whatever becomes of the runtime it was made in.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let caught = runtime.and_then(|runtime| {
        let _inside = runtime.enter();
        signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))
    });
    if let Err(error) = caught {
        tracing::warn!(%error, "the signal of the limit on file sizes is not caught");
    }
}

/// The folder for keys and remembered hashes.
pub(super) fn state_dir(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(dir) = &global.state_dir {
        return Ok(dir.clone());
    }
    let dirs = etcetera::choose_base_strategy();
    let dir = dirs.map(|dirs| dirs.state_dir().unwrap_or_else(|| dirs.data_dir()).join("swarm"));
    dir.map_err(|_| {
        Failure::new(Category::Usage, "there is no home folder: name a state folder by --state-dir")
    })
}

/// The folder for remembered hashes.
pub(super) fn cache_dir(global: &Global) -> Result<PathBuf, Failure> {
    Ok(state_dir(global)?.join("index"))
}

/// This node's key: `--key`, or a free one. A seed names its content, to be the same node each time.
pub(super) fn identity(global: &Global, claim: Option<ContentId>) -> Result<Identity, Failure> {
    match &global.key {
        Some(path) => Ok(Identity::from_file(path)?),
        None => Ok(IdentityStore::open(&state_dir(global)?)?.acquire(claim)?),
    }
}

/// The node's socket.
pub(super) fn endpoint(
    listen: Option<SocketAddr>,
    identity: &Identity,
    options: LinkOptions,
) -> Result<Endpoint, Failure> {
    let endpoint = Endpoint::bind(listen, identity, options)?;
    tracing::info!(node = %endpoint.node_id(), address = %endpoint.bound_address(), "listening");
    Ok(endpoint)
}

/// Serves pages for the node of this endpoint, if that is wanted.
pub(super) fn pages(endpoint: &Endpoint, args: &WebArgs) -> Result<Option<Serving>, Failure> {
    if !args.web {
        return Ok(None);
    }
    let origins = Origins::of_listed(args.web_origin.clone());
    let serving = Serving::start(endpoint, origins, wall_clock)?;
    tracing::info!(address = %serving.address(), "serving pages");
    Ok(Some(serving))
}

/// SIGHUP; from now on it no longer ends the process.
pub(super) fn hang_ups() -> Result<Signal, Failure> {
    caught(SignalKind::hangup())
}

fn caught(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(Category::Other, format_args!("cannot catch signals: {error}")))
}

/// Ctrl-C and SIGTERM.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// From now on they no longer end the process.
    pub(super) fn catch() -> Result<Self, Failure> {
        Ok(Self { interrupt: caught(SignalKind::interrupt())?, terminate: caught(SignalKind::terminate())? })
    }

    /// Waits for one. To be cancelled by dropping the future.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Hashing and disk work; more threads than disks and cores can use only cost memory.
const BLOCKING_THREADS_MAX: usize = 24;
/// Threads beside those of network and hashing that a command cannot do without: two for the disk, one for each finder.
const SPARE_THREADS: usize = 4;
