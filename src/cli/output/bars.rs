//! Progress of a fetch or of hashing: bars on a terminal, a plain line every few seconds elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text;
use swarm_core::base::{ByteLen, Instant, Rate, Shown};
use swarm_core::manifest::Manifest;
use swarm_engine::{ContentSnapshot, FetchPhase, PeerSnapshot};
use swarm_files::HashProgress;
use swarm_node::NodeSnapshot;
use swarm_node::clock::Clock;

/// The picture of a fetch.
pub(in crate::cli) struct FetchView {
    clock: Clock,
    bars: Option<Bars>,
    is_silent: bool,
    rate: RecentRate,
    lined_at: Instant,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    peers: Vec<ProgressBar>,
    why: ProgressBar,
}

/// The rate over the last seconds, from samples of a total.
#[derive(Default)]
pub(super) struct RecentRate(std::collections::VecDeque<(Instant, u64)>);

impl FetchView {
    /// A view; silent if JSON is printed instead.
    pub(in crate::cli) fn new(is_silent: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && !is_silent;
        Self {
            clock: Clock::start(),
            bars: is_terminal.then(Bars::new),
            is_silent,
            rate: RecentRate::default(),
            lined_at: Instant::ZERO,
        }
    }

    /// Shows the state of things.
    pub(in crate::cli) fn show(&mut self, snapshot: &NodeSnapshot, manifest: Option<&Manifest>) {
        let Some(content) = snapshot.engine.contents.first() else { return };
        let now = self.clock.now();
        let received_len = snapshot.engine.peers.iter().map(|peer| peer.totals.received_len).sum();
        let rate = self.rate.sample(now, received_len);
        if let Some(bars) = &mut self.bars {
            bars.show(content, &snapshot.engine.peers, rate, manifest);
        } else if !self.is_silent && now - self.lined_at >= LINE_INTERVAL {
            self.lined_at = now;
            super::note(line(content, &snapshot.engine.peers, rate, manifest));
        }
    }

    /// The rate over the last seconds.
    pub(in crate::cli) fn rate(&self) -> Rate {
        self.rate.get()
    }

    /// A line that stays.
    pub(in crate::cli) fn note(&self, text: &str) {
        match &self.bars {
            // A bar that cannot be drawn is no reason to stop.
            Some(bars) => drop(bars.all.println(Shown(text).to_string())),
            None if self.is_silent => {}
            None => super::note(text),
        }
    }

    /// Takes the bars away.
    pub(in crate::cli) fn clear(&mut self) {
        if let Some(bars) = self.bars.take() {
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let total = all.add(ProgressBar::new(0));
        total.set_style(style("{prefix:>10} [{bar:30}] {msg}"));
        let why = all.add(ProgressBar::new(0));
        why.set_style(style("{msg}"));
        Self { all, total, peers: Vec::new(), why }
    }

    fn show(
        &mut self,
        content: &ContentSnapshot,
        peers: &[PeerSnapshot],
        rate: Rate,
        manifest: Option<&Manifest>,
    ) {
        self.total.set_length(content.wanted_len.max(1));
        self.total.set_position(content.verified_len);
        self.total.set_prefix(phase(content.phase));
        let done = format!("{} of {}", ByteLen(content.verified_len), ByteLen(content.wanted_len));
        self.total.set_message(format!("{done}  {rate}  {}", eta(content, rate)));
        let linked: Vec<&PeerSnapshot> =
            peers.iter().filter(|peer| peer.link.is_some()).take(PEER_LINES_MAX).collect();
        self.peers.truncate_to(linked.len(), &self.all);
        while self.peers.len() < linked.len() {
            let bar = self.all.insert_before(&self.why, ProgressBar::new(1));
            bar.set_style(style("{msg}"));
            self.peers.push(bar);
        }
        let total_len: u64 = peers.iter().map(|peer| peer.totals.received_len).sum();
        for (bar, peer) in self.peers.iter().zip(linked) {
            bar.set_message(peer_line(peer, total_len));
        }
        let why = text::bottleneck(&content.bottleneck, manifest);
        self.why.set_message(if why.is_empty() { why } else { format!("           slow: {}", Shown(why)) });
    }
}

trait TruncateBars {
    fn truncate_to(&mut self, len: usize, all: &MultiProgress);
}

impl TruncateBars for Vec<ProgressBar> {
    fn truncate_to(&mut self, len: usize, all: &MultiProgress) {
        while self.len() > len {
            if let Some(bar) = self.pop() {
                all.remove(&bar);
            }
        }
    }
}

impl RecentRate {
    pub(super) fn sample(&mut self, now: Instant, total: u64) -> Rate {
        self.0.push_back((now, total));
        while self.0.len() > 2 && now - self.0[0].0 > RATE_WINDOW {
            self.0.pop_front();
        }
        self.get()
    }

    fn get(&self) -> Rate {
        match (self.0.front(), self.0.back()) {
            (Some((from, old)), Some((to, new))) => Rate::over(new.saturating_sub(*old), *to - *from),
            _ => Rate(0),
        }
    }
}

fn peer_line(peer: &PeerSnapshot, total_len: u64) -> String {
    let Some(link) = &peer.link else { return String::new() };
    let share = peer.totals.received_len * 100 / total_len.max(1);
    let rtt = format!("{:.1} ms", link.rtt.as_secs_f64() * 1e3);
    let state = match (link.is_choked, link.is_stalled) {
        (true, _) => "chokes us",
        (false, true) => "silent",
        (false, false) => "",
    };
    format!("{:>10}  rtt {rtt:>9}  {:>12}  {share:>3}%  {state}", peer.node.short(), link.rate)
}

fn line(
    content: &ContentSnapshot,
    peers: &[PeerSnapshot],
    rate: Rate,
    manifest: Option<&Manifest>,
) -> String {
    let linked = peers.iter().filter(|peer| peer.link.is_some()).count();
    let percent = content.verified_len * 100 / content.wanted_len.max(1);
    let mut line = format!(
        "{}: {percent}%, {} of {}, {rate}, {}, {}",
        phase(content.phase),
        ByteLen(content.verified_len),
        ByteLen(content.wanted_len),
        text::count(linked, "peer"),
        eta(content, rate),
    );
    let why = text::bottleneck(&content.bottleneck, manifest);
    if !why.is_empty() {
        line = format!("{line}; slow: {why}");
    }
    line
}

/// The phase as people and JSON readers see it.
pub(super) fn phase(phase: FetchPhase) -> &'static str {
    match phase {
        FetchPhase::Connecting => "connecting",
        FetchPhase::Manifest => "manifest",
        FetchPhase::Opening => "verifying",
        FetchPhase::Fetching => "fetching",
        FetchPhase::Finishing => "finishing",
        FetchPhase::Complete => "complete",
        FetchPhase::Failed => "failed",
    }
}

fn eta(content: &ContentSnapshot, rate: Rate) -> String {
    let left_len = content.wanted_len.saturating_sub(content.verified_len);
    match rate {
        Rate(0) => "ETA unknown".to_owned(),
        rate => format!("ETA {}", text::duration(rate.time_for(left_len))),
    }
}

pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates in this file are well-formed")
        .progress_chars("=> ")
}

/// Progress of hashing, called from many threads.
pub(in crate::cli) struct HashView {
    what: String,
    bar: Option<ProgressBar>,
    is_silent: bool,
    /// JSON readers are told, too.
    tells_json: bool,
    clock: Clock,
    lined_at_secs: AtomicU64,
    drawing: Mutex<()>,
}

impl HashView {
    /// A view; silent if JSON is printed instead.
    pub(in crate::cli) fn new(what: impl Into<String>, is_silent: bool) -> Self {
        Self::with(what.into(), is_silent, false)
    }

    /// A view of the last look at a fetch, which JSON readers see, too.
    pub(in crate::cli) fn of_last_look(is_json: bool) -> Self {
        Self::with("verifying".to_owned(), is_json, is_json)
    }

    fn with(what: String, is_silent: bool, tells_json: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && !is_silent;
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
            bar.set_style(style("{prefix:>10} [{bar:30}] {msg}"));
            bar
        });
        let (clock, lined_at_secs) = (Clock::start(), AtomicU64::new(0));
        Self { what, bar, is_silent, tells_json, clock, lined_at_secs, drawing: Mutex::new(()) }
    }

    /// Shows how far it is.
    pub(in crate::cli) fn show(&self, progress: HashProgress) {
        let is_over = progress.hashed_len == progress.total_len;
        let drawing = if is_over { self.drawing.lock().ok() } else { self.drawing.try_lock().ok() };
        let Some(_drawing) = drawing else { return };
        let elapsed = self.clock.now() - Instant::ZERO;
        let rate = Rate::over(progress.hashed_len, elapsed);
        let text = format!("{} of {}  {rate}", ByteLen(progress.hashed_len), ByteLen(progress.total_len));
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total_len);
            bar.set_position(progress.hashed_len);
            bar.set_prefix(Shown(&self.what).to_string());
            bar.set_message(text);
            if is_over {
                bar.finish_and_clear();
            }
        } else if self.tells_json {
            let secs = elapsed.as_secs() + 1;
            if is_over || secs > self.lined_at_secs.swap(secs, Ordering::Relaxed) {
                let (read_bytes, bytes) = (progress.hashed_len, progress.total_len);
                super::Json::Verifying { read_bytes, bytes }.print();
            }
        } else if !self.is_silent
            && elapsed.as_secs() >= self.lined_at_secs.load(Ordering::Relaxed) + LINE_INTERVAL.as_secs()
        {
            self.lined_at_secs.store(elapsed.as_secs(), Ordering::Relaxed);
            super::note(format_args!("{}: {text}", self.what));
        }
    }
}

impl Drop for HashView {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

const LINE_INTERVAL: Duration = Duration::from_secs(5);
const RATE_WINDOW: Duration = Duration::from_secs(5);
const PEER_LINES_MAX: usize = 12;
