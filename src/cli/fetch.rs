//! `swarm fetch`: fetch a content from all its sources at once. Makes a plan of the arguments and shows what the job says; decides
//! nothing of the fetch itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::args::{FetchArgs, Global};
use super::failure::{self, Failure};
use super::memory::Memory;
use super::output::{self, Done, FetchView, HashView, Json};
use super::seed::moved;
use super::setup::{self, Interrupts};
use super::source::Wanted;
use super::steps::{Progress, Steps};
use super::trust;
use swarm_core::base::{ByteLen, Category, NodeId, Rate, Shown};
use swarm_core::manifest::{ChunkIndex, ContentKey, Manifest};
use swarm_core::wire::DeclineReason;
use swarm_engine::{Bottleneck, ContentSnapshot, Order};
use swarm_files::{HashProgress, LeftOut, find_manifest};
use swarm_host::jobs::{
    ChunkNews, Destination, FetchEnd, FetchError, FetchJob, FetchPlan, FolderPlan, JobEvent, PeerNews, Ready,
    Selection,
};
use swarm_link::Identity;
use swarm_node::{Limits, NodeSnapshot, Options};

pub(super) async fn run(args: FetchArgs, global: &Global) -> Result<(), Failure> {
    let mut interrupts = Interrupts::catch()?;
    fetch(args, global, &mut interrupts, &mut |_| {}).await
}

/// Fetches; signals are those of the caller, so that none is lost before the fetch listens. `observe` is called with the state of things several times a second.
pub(super) async fn fetch(
    args: FetchArgs,
    global: &Global,
    interrupts: &mut Interrupts,
    observe: &mut dyn FnMut(&ContentSnapshot),
) -> Result<(), Failure> {
    let selection = check(&args)?;
    let mut steps = Steps::new(interrupts, patience(&args));
    let wanted = find(&args, &mut steps).await?;
    let (identity, content_key) = keys(&args, &wanted, global, &mut steps).await?;
    let memory = Memory::split(args.memory, is_stdout(&args.out), args.limit.link());
    let endpoint = setup::endpoint(args.listen, &identity, memory.link)?;
    let readers = args.readers.as_ref().map(|path| (wanted.content, path));
    let admission_files = trust::admission_files(&endpoint, args.trust.files(readers), &mut steps).await?;
    let plan = FetchPlan { selection, content_key, ..plan(&args, wanted, memory.window_len) };
    let mut job = FetchJob::start(endpoint, admission_files, options(&args, &memory), plan);
    let mut screen = Screen::new(args, observe);
    let result = job.run(&mut |event| screen.show(event), interrupts.next()).await;
    screen.clear();
    let end = tokio::select! {
        end = job.end() => end,
        () = interrupts.next() => return result.map_or_else(|error| Err(screen.failed(error)), |()| screen.check_whole()),
    };
    match result {
        Ok(()) => {
            screen.conclude(&end);
            screen.check_whole()
        }
        Err(error) => Err(screen.failed(error)),
    }
}

/// Refuses arguments that do not go together.
fn check(args: &FetchArgs) -> Result<Selection, Failure> {
    if args.json && is_stdout(&args.out) {
        return Err(Failure::new(Category::Usage, "--json and -o - both want stdout: choose one"));
    }
    if args.verify_at_end && is_stdout(&args.out) {
        let message = "--verify-at-end reads files again, -o - writes none: choose one";
        return Err(Failure::new(Category::Usage, message));
    }
    args.find.check()?;
    Selection::new(&args.include).map_err(failure::of_selection)
}

/// What is asked for. A program that reads stdout gets it in order, no further ahead than `window_len` bytes.
fn plan(args: &FetchArgs, wanted: Wanted, window_len: u64) -> FetchPlan {
    let Wanted { content, manifest, sources, coordinators, signatures, key, wrapped_keys } = wanted;
    let (destination, order) = if is_stdout(&args.out) {
        let order = Order::Sequential { window_len: Some(window_len) };
        (Destination::Stream(|| Box::new(output::Stdout)), order)
    } else {
        let (overwrite, verify_at_end) = (args.overwrite, args.verify_at_end);
        let folder = FolderPlan { out: args.out.clone(), overwrite, verify_at_end };
        let order = if args.sequential { Order::Sequential { window_len: None } } else { Order::RarestFirst };
        (Destination::Folder(folder), order)
    };
    FetchPlan {
        content,
        manifest,
        sources,
        coordinators,
        signatures,
        ticket_key: key,
        wrapped_keys,
        content_key: None,
        must_be_sealed: args.content_key.is_some(),
        selection: Selection::default(),
        destination,
        order,
        patience: patience(args),
        keeps_seeding: args.keep_seeding,
    }
}

fn options(args: &FetchArgs, memory: &Memory) -> Options {
    let limits = Limits {
        down: args.down_limit.limit_down,
        down_per_peer: args.down_limit.limit_down_per_peer,
        ..args.limit.limits(memory.buffers_len, memory.windows_len)
    };
    let (finders, dial_timeout) = (args.find.finders(), dial_timeout(args.timeout));
    Options { limits, finders, dial_timeout, ..Options::default() }
}

/// How long a fetch goes on without any progress; `None` for ever.
fn patience(args: &FetchArgs) -> Option<Duration> {
    (args.timeout > 0).then(|| Duration::from_secs(args.timeout))
}

async fn find(args: &FetchArgs, steps: &mut Steps<'_>) -> Result<Wanted, Failure> {
    let of_step = args.clone();
    let read = move |progress: &Progress| Wanted::find(&of_step, progress);
    let mut wanted = steps.run(&Wanted::reading(&args.what), read).await?;
    if wanted.manifest.is_none() && !is_stdout(&args.out) {
        // An earlier run learnt it already.
        let (out, content) = (args.out.clone(), wanted.content);
        let doing = format!("looking for the manifest in `{}`", Shown(&args.out));
        wanted.manifest = steps.run(&doing, move |_| Ok(find_manifest(&out, content))).await?;
    }
    Ok(wanted)
}

/// This node's key, and that of a sealed content.
async fn keys(
    args: &FetchArgs,
    wanted: &Wanted,
    global: &Global,
    steps: &mut Steps<'_>,
) -> Result<(Identity, Option<ContentKey>), Failure> {
    let (args, wanted, global) = (args.clone(), wanted.clone(), global.clone());
    let read = move |_: &Progress| {
        let identity = trust::identity(&global, None, args.trust.cert.as_deref())?;
        let content_key = wanted.content_key(args.content_key.as_deref(), &identity)?;
        Ok((identity, content_key))
    };
    steps.run("reading keys", read).await
}

/// The events of a job, as people or readers of JSON see them.
struct Screen<'a> {
    args: FetchArgs,
    observe: &'a mut dyn FnMut(&ContentSnapshot),
    view: FetchView,
    /// Of what is there, while the target is opened.
    hashing: Option<HashView>,
    /// Of --verify-at-end.
    last_look: Option<HashView>,
    /// Hashing has a bar of its own: the other is not drawn.
    is_hashing: bool,
    manifest: Option<Manifest>,
    pictures: u32,
    /// Entries that the target cannot hold.
    left_out_count: usize,
    /// Troubles with peers that were told once.
    told: BTreeSet<(NodeId, String)>,
}

impl<'a> Screen<'a> {
    fn new(args: FetchArgs, observe: &'a mut dyn FnMut(&ContentSnapshot)) -> Self {
        Self {
            view: FetchView::new(args.json),
            args,
            observe,
            hashing: None,
            last_look: None,
            is_hashing: false,
            manifest: None,
            pictures: 0,
            left_out_count: 0,
            told: BTreeSet::new(),
        }
    }

    fn show(&mut self, event: JobEvent) {
        match event {
            JobEvent::Sealed => self.view.note(
                "the content is sealed, and the ticket holds no key for this node: fetching it as it is; --content-key FILE opens it",
            ),
            JobEvent::Opening(manifest) => (self.manifest, self.is_hashing) = (Some(*manifest), true),
            JobEvent::Unmatched(patterns) if !self.args.json => output::note(format_args!(
                "no file matches --include {}: going on with the others",
                failure::patterns(&patterns)
            )),
            // Only seeds serve from the start.
            JobEvent::Unmatched(_) | JobEvent::Serving { .. } => {}
            JobEvent::Hashing(progress) => self.show_hashing(progress),
            JobEvent::LastLook(progress) => self.show_last_look(progress),
            JobEvent::Ready(ready) => self.show_ready(&ready),
            JobEvent::LittleRoom { free_len, needed_len } => self.view.note(&format!(
                "only {} are free at {}, {} are needed: make space meanwhile",
                ByteLen(free_len),
                Shown(&self.args.out),
                ByteLen(needed_len)
            )),
            JobEvent::LeftOut(entry) => self.show_left_out(&entry),
            JobEvent::Progress(snapshot) => self.show_progress(&snapshot),
            JobEvent::Peer(node, news) => self.show_peer(node, news),
            JobEvent::Chunk(chunk, news) => self.show_chunk(chunk, news),
            JobEvent::Trouble(trouble) => self.tell(|| Json::trouble(&trouble), &trouble.reason),
            JobEvent::Warning(warning) => {
                let message = warning.to_string();
                self.tell(|| Json::Warning { message: message.clone() }, &message);
            }
            JobEvent::Trust(error) => {
                let line = format!("{error}; going on with what held before");
                self.tell(|| Json::trust(&line), &line);
            }
            JobEvent::Seeding(ticket) => {
                self.view.note("complete; going on as a seed. Others fetch it with: swarm fetch TICKET");
                if !self.args.json {
                    output::report(ticket);
                }
            }
            JobEvent::Moved(ticket) => {
                let message = "this node is reached elsewhere now: hand out the new ticket".to_owned();
                self.view.clear();
                moved(self.args.json, message, Some(&ticket));
            }
        }
    }

    fn tell(&self, json: impl FnOnce() -> Json, line: &str) {
        if self.args.json {
            json().print();
        } else {
            self.view.note(line);
        }
    }

    fn show_hashing(&mut self, progress: HashProgress) {
        let is_json = self.args.json;
        self.hashing.get_or_insert_with(|| HashView::new("verifying", is_json)).show(progress);
    }

    fn show_last_look(&mut self, progress: HashProgress) {
        self.is_hashing = progress.hashed_len < progress.total_len;
        let is_json = self.args.json;
        self.last_look.get_or_insert_with(|| HashView::of_last_look(is_json)).show(progress);
    }

    fn show_ready(&mut self, ready: &Ready) {
        (self.hashing, self.is_hashing) = (None, false);
        let Some(manifest) = &self.manifest else { return };
        if self.args.json {
            let geometry = manifest.geometry();
            let ready = Json::Ready {
                node: ready.node.to_string(),
                content: ready.ticket.content.to_string(),
                name: manifest.name(),
                ticket: Some(ready.ticket.to_string()),
                bytes: ready.wanted_len,
                present_bytes: ready.present_len,
                files: geometry.file_count(),
                chunks: geometry.chunk_count(),
                sources: ready.sources,
            };
            return ready.print();
        }
        let from = match ready.sources {
            0 => "looking for sources".to_owned(),
            count => format!("from {}", output::count(count, "source")),
        };
        let mut line = format!("fetching {}, {}, {from}", manifest.name(), ByteLen(ready.wanted_len));
        let present = ByteLen(ready.present_len);
        if ready.is_doubted {
            line += &format!("; re-hashed what is there, {present} are good");
        } else if ready.is_resumed && ready.present_len > 0 {
            line += &format!("; going on after {present}");
        } else if ready.present_len > 0 {
            line += &format!("; {present} are there");
        }
        self.view.note(&line);
    }

    fn show_left_out(&mut self, entry: &LeftOut) {
        self.left_out_count += 1;
        let (path, message) = (entry.path.to_string(), entry.to_string());
        self.tell(|| Json::LeftOut { path, message }, &format!("left out {entry}"));
    }

    fn show_progress(&mut self, snapshot: &NodeSnapshot) {
        if let Some(content) = snapshot.engine.contents.first() {
            (self.observe)(content);
        }
        if self.last_look.is_some() && self.is_hashing {
            self.view.clear();
        } else if !self.is_hashing {
            self.view.show(snapshot, self.manifest.as_ref());
        }
        if self.args.json && self.pictures.is_multiple_of(JSON_EVERY_PICTURES) {
            let progress = Json::progress(snapshot, self.view.rate().0, self.manifest.as_ref());
            progress.iter().for_each(Json::print);
        }
        self.pictures += 1;
    }

    fn show_peer(&mut self, node: NodeId, news: PeerNews) {
        let (state, short) = (news.state(), node.short());
        let (detail, is_news) = match news {
            PeerNews::Found(way) => (way.name().to_owned(), false),
            PeerNews::ToldBy(by) => (format!("told of by peer {}", by.short()), false),
            PeerNews::Joined { agent } => (agent, false),
            PeerNews::Left { reason } => (reason, false),
            PeerNews::Unreachable { reason } => (reason, true),
            PeerNews::Refused(refusal) => (refusal.words, true),
            PeerNews::Declined(DeclineReason::NotAuthorised) => {
                (format!("node {short} does not let this node have it"), true)
            }
            PeerNews::Declined(
                DeclineReason::NotHere | DeclineReason::NotAccepted | DeclineReason::NoRoom,
            ) => (format!("node {short} does not have this content"), true),
            PeerNews::Denied => ("it may not have this".to_owned(), false),
            PeerNews::Banned(violation) => (format!("banned peer {short}: it {violation}"), true),
            PeerNews::Blames(chunk) => {
                let name = output::chunk_name(chunk, self.manifest.as_ref());
                (format!("peer {short} says {name} from here was corrupt: check this machine"), true)
            }
            PeerNews::Accused { by } => {
                (format!("peer {} says that {short} gave it wrong chunks", by.short()), true)
            }
            PeerNews::Completed => ("it has everything now".to_owned(), false),
            PeerNews::Durable => return,
        };
        if self.args.json {
            Json::peer(node, state, Some(detail)).print();
        } else if is_news && self.told.insert((node, detail.clone())) {
            self.view.note(&detail);
        }
    }

    fn show_chunk(&self, chunk: ChunkIndex, news: ChunkNews) {
        let Some(manifest) = &self.manifest else { return };
        let (number, path) = output::chunk_place(chunk, manifest);
        match news {
            ChunkNews::Withdrawn => {
                let name = output::chunk_name(chunk, Some(manifest));
                self.view.note(&format!("withdrew {name}: it changed on disk"));
            }
            ChunkNews::Unreadable { reason } => {
                let line = output::read_trouble(&reason);
                self.tell(|| Json::ReadTrouble { chunk: number, path, message: reason }, &line);
            }
            ChunkNews::Readable => {
                let line = output::read_again(&path);
                self.tell(|| Json::ReadAgain { chunk: number, path }, &line);
            }
        }
    }

    /// Takes all bars away.
    fn clear(&mut self) {
        self.view.clear();
        (self.hashing, self.last_look) = (None, None);
    }

    /// Whether the target holds all that was asked for.
    fn check_whole(&self) -> Result<(), Failure> {
        if self.left_out_count == 0 {
            return Ok(());
        }
        Err(Failure::new(
            Category::Partial,
            format_args!(
                "`{}` cannot hold {} of this content, named above; the rest is complete and verified: fetch them into a folder on another file system by --include",
                Shown(&self.args.out),
                output::count(self.left_out_count, "path"),
            ),
        ))
    }

    fn failed(&self, error: FetchError) -> Failure {
        let category = error.category();
        match error {
            FetchError::NoSource => Failure::new(
                category,
                "nobody is known to have this content: name a source with --peer NODEID@HOST:PORT or --peer TICKET",
            ),
            FetchError::Stopped { percent } if is_stdout(&self.args.out) => {
                Failure::new(category, format_args!("interrupted at {percent} %"))
            }
            FetchError::Stopped { percent } => Failure::new(
                category,
                format_args!(
                    "interrupted at {percent} %; what is verified is kept: run the same command again to go on"
                ),
            ),
            FetchError::Selection(error) => failure::of_selection(error),
            FetchError::NotOneFile { count } => Failure::new(
                category,
                format_args!("-o - takes one file, this content has {count}: choose one with --include"),
            ),
            FetchError::Seal(error) => error.into(),
            FetchError::Target(error) => failure::of_target(error),
            FetchError::GaveUp { failure, trouble } => {
                failure::of_fetch(&failure, |bottleneck| match (bottleneck, trouble) {
                    (Bottleneck::NoPeer(None), Some(trouble)) => trouble,
                    _ => output::bottleneck(bottleneck, self.manifest.as_ref()),
                })
            }
            FetchError::Died => {
                Failure::new(category, "fetching ended unexpectedly: this is a bug, please report it")
            }
        }
    }

    fn conclude(&self, end: &FetchEnd) {
        let FetchEnd { content, last, present_len, elapsed } = end;
        let Some(done) = Done::of(*content, last, *present_len, elapsed.as_secs_f64()) else {
            return;
        };
        if self.args.json {
            return Json::Done(done).print();
        }
        let name = self.manifest.as_ref().map_or_else(|| content.short(), Manifest::name);
        let name = match self.left_out_count {
            0 => name,
            _ => format!("what the target can hold of {name}"),
        };
        if done.fetched_bytes == 0 {
            return output::note(format_args!(
                "{name} is complete and verified: {} were there",
                ByteLen(done.present_bytes)
            ));
        }
        let rate = Rate::over(done.fetched_bytes, *elapsed);
        let seconds = elapsed.as_secs_f64();
        output::note(format_args!(
            "{name} is complete and verified: {} in {seconds:.1} s, {rate}",
            ByteLen(done.fetched_bytes)
        ));
        output::notes(&output::peer_table(&last.engine.peers, *elapsed));
        let (duplicate, corrupt) = (ByteLen(done.duplicate_bytes), ByteLen(done.corrupt_bytes));
        output::note(format_args!(
            "  received and not needed: {duplicate}; corrupt: {corrupt}; on the wire: {}",
            ByteLen(done.wire_bytes)
        ));
    }
}

/// A dial ends a little before patience does: the message at the end says what came of it.
fn dial_timeout(timeout_secs: u64) -> Option<Duration> {
    (timeout_secs > 0).then(|| Duration::from_secs(timeout_secs).mul_f64(0.8))
}

fn is_stdout(out: &Path) -> bool {
    out == Path::new("-")
}

/// About every second; pictures come every fifth of one.
const JSON_EVERY_PICTURES: u32 = 5;
