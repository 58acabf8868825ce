//! `swarm seed`: serve files in place.

use std::path::{Path, PathBuf};

use super::args::{Global, SeedArgs};
use super::failure::{self, Failure};
use super::join::{self, Joining};
use super::manifest::{self, index_paths, write_manifest};
use super::output::{self, Done, HashView, Json, SeedView};
use super::place;
use super::seal;
use super::setup::{self, Interrupts};
use super::source::manifest_file;
use super::steps::{Progress, Steps};
use super::trust;
use crate::cli::limits::SEED_WINDOWS_LEN;
use swarm_core::base::{Bitfield, ByteLen, Category, ContentId, NodeId};
use swarm_core::manifest::{Address, ChunkIndex, ManifestFile, Source, Ticket};
use swarm_files::{IndexOptions, SeedStore};
use swarm_host::jobs::{ChunkNews, JobEvent, PeerNews, SeedEnd, SeedError, SeedJob, SeedPlan, open_copy};
use swarm_link::{Endpoint, Identity};
use swarm_node::Options;
use swarm_node::clock::wall_clock;

pub(super) async fn run(args: SeedArgs, global: &Global) -> Result<(), Failure> {
    serve(args, None, global).await
}

/// Serves until the arguments say that it is enough, or what it joined does.
pub(super) async fn serve(args: SeedArgs, joining: Option<Joining>, global: &Global) -> Result<(), Failure> {
    args.find.check()?;
    if args.manifest_out.as_deref() == Some(Path::new("-")) {
        let message = "--manifest-out - is not possible, stdout is for the ticket: name a file";
        return Err(Failure::new(Category::Usage, message));
    }
    let mut interrupts = Interrupts::catch()?;
    let mut steps = Steps::new(&mut interrupts, None);
    let (preparing, globals) = (args, global.clone());
    let prepare =
        move |_: &Progress| open(&preparing, &globals).map(|(file, store)| (preparing, file, store));
    let (args, mut file, store) = steps.run("hashing", prepare).await?;
    let content = file.manifest.id();
    let (identity, ticket) = keys(&args, content, global, &mut steps).await?;
    let endpoint = setup::endpoint(args.listen, &identity, args.limit.link())?;
    let readers = args.readers.as_ref().map(|path| (content, path));
    let admission_files = trust::admission_files(&endpoint, args.trust.files(readers), &mut steps).await?;
    let pages = setup::pages(&endpoint, &args.web)?;
    if args.listen.is_none() {
        identity.remember_port(endpoint.port())?;
    }
    if let Some(message) = place::lost_port(&endpoint) {
        moved(args.json, message, None);
    }
    if args.sign {
        manifest::sign(&mut file, &identity);
    }
    file.coordinators.clone_from(&args.find.coordinator);
    let plan = plan(&args, &file, ticket, joining.as_ref());
    let options = Options {
        limits: args.limit.limits(0, SEED_WINDOWS_LEN),
        finders: args.find.finders(),
        ..Options::default()
    };
    let mut job = SeedJob::start(endpoint.clone(), admission_files, options, plan);
    let settled = tokio::select! {
        biased;
        ticket = job.settle() => Some(ticket),
        () = interrupts.next() => None,
    };
    let Some(ticket) = settled else {
        job.end().await;
        return Ok(());
    };
    ticket.sources.iter().for_each(|source| name_first(&mut file, source.clone()));
    if let Some(out) = args.manifest_out.clone() {
        let file = file.clone();
        let mut steps = Steps::new(&mut interrupts, None);
        steps.run("writing the manifest", move |_| write_manifest(&out, &file)).await?;
    }
    let is_json = args.json;
    let mut screen = Screen { view: SeedView::new(), args, joining, file, endpoint, ticket };
    let result = job.run(store, &mut |event| screen.show(event), interrupts.next()).await;
    let result = result.map_err(failed);
    let end = tokio::select! {
        end = job.end() => end,
        () = interrupts.next() => return result,
    };
    if let Some(pages) = pages {
        pages.end().await;
    }
    if let (true, Ok(())) = (is_json, &result) {
        let SeedEnd { content, last, present_len, elapsed } = end;
        let done = Done::of(content, &last, present_len, elapsed.as_secs_f64());
        done.into_iter().for_each(|done| Json::Done(done).print());
    }
    result
}

/// What is served, with a ticket that holds keys.
fn plan(args: &SeedArgs, file: &ManifestFile, ticket: Ticket, joining: Option<&Joining>) -> SeedPlan {
    let (coordinators, signatures) = (args.find.coordinator.clone(), file.signatures.clone());
    SeedPlan {
        manifest: file.manifest.clone(),
        ticket: Ticket { coordinators, signatures, ..ticket },
        advertise: args.advertise.clone(),
        takers: if args.once { Some(1) } else { args.count },
        replica: joining.map(Joining::plan),
    }
}

fn failed(error: SeedError) -> Failure {
    let category = error.category();
    match error {
        SeedError::Stopped => Failure::new(category, "interrupted; run the same command to serve again"),
        SeedError::Declined(node, reason) => Failure::new(category, join::declined(node, reason)),
        SeedError::Refused(refusal) => failure::of_refusal(&refusal),
        SeedError::Banned(node, violation) => Failure::new(
            category,
            format_args!(
                "node {} misbehaved, nothing more is exchanged with it: it {violation}",
                node.short()
            ),
        ),
        SeedError::Died => {
            Failure::new(category, "serving ended unexpectedly: this is a bug, please report it")
        }
    }
}

/// Makes this node the first source of a manifest.
fn name_first(file: &mut ManifestFile, source: Source) {
    file.sources.retain(|known| known.node != source.node);
    file.sources.insert(0, source);
}

/// Tells that tickets of before lead nowhere, and shows the new one.
pub(super) fn moved(is_json: bool, message: String, ticket: Option<&Ticket>) {
    if is_json {
        return Json::Moved { message, ticket: ticket.map(ToString::to_string) }.print();
    }
    output::note(message);
    if let Some(ticket) = ticket {
        output::report(ticket);
    }
}

/// This node's key, and a ticket with that of a sealed content.
async fn keys(
    args: &SeedArgs,
    content: ContentId,
    global: &Global,
    steps: &mut Steps<'_>,
) -> Result<(Identity, Ticket), Failure> {
    let (cert, seal, seal_for) = (args.trust.cert.clone(), args.seal.clone(), args.seal_for.clone());
    let global = global.clone();
    let read = move |_: &Progress| {
        let identity = trust::identity(&global, Some(content), cert.as_deref())?;
        Ok((identity, ticket_with_key(seal.as_deref(), &seal_for, content)?))
    };
    steps.run("reading keys", read).await
}

/// A ticket with the key of a sealed content, for every holder or for the named nodes alone.
fn ticket_with_key(seal: Option<&Path>, seal_for: &[NodeId], content: ContentId) -> Result<Ticket, Failure> {
    let ticket = Ticket::new(content);
    let Some(path) = seal else { return Ok(ticket) };
    let key = seal::key_in(path)?;
    if seal_for.is_empty() {
        return Ok(Ticket { key: Some(key), ..ticket });
    }
    Ok(Ticket { wrapped_keys: seal::wrapped(&key, content, seal_for)?, ..ticket })
}

/// Hashes the paths, or what they hold of a given manifest.
fn open(args: &SeedArgs, global: &Global) -> Result<(ManifestFile, SeedStore), Failure> {
    let Some(path) = &args.manifest else {
        let options = IndexOptions { skip_unportable: args.skip_unportable, ..IndexOptions::default() };
        let outs: Vec<PathBuf> = args.manifest_out.iter().cloned().collect();
        let made = index_paths((&args.paths, &outs), options, global, args.json)?;
        if made.reused_files > 0 && !args.json {
            let files = output::count(made.reused_files, "file");
            output::note(format_args!("hashed before and unchanged: {files}"));
        }
        let manifest = match &args.seal {
            Some(path) => seal::sealed(&made, &seal::key_or_new(path)?, args.json)?,
            None => made.manifest,
        };
        let all = Bitfield::full(manifest.geometry().chunk_count());
        let store = SeedStore::new(manifest.clone(), made.roots, all, wall_clock);
        return Ok((ManifestFile::new(manifest), store));
    };
    let mut file = manifest_file(path)?;
    if let Some(key) = &args.seal {
        file.manifest = seal::opened(&file.manifest, &seal::key_in(key)?)?;
    }
    let [root] = args.paths.as_slice() else {
        return Err(Failure::new(
            Category::Usage,
            "--manifest takes one PATH: the folder that holds (a part of) the content",
        ));
    };
    Failure::unless_there(root)?;
    let view = HashView::new("verifying", args.json);
    let store = open_copy((&file.manifest, path), root, None, &|progress| view.show(progress))?;
    drop(view);
    Ok((file, store))
}

/// The events of a job, as people or readers of JSON see them.
struct Screen {
    args: SeedArgs,
    view: SeedView,
    joining: Option<Joining>,
    /// As it is written to `--manifest-out`.
    file: ManifestFile,
    endpoint: Endpoint,
    ticket: Ticket,
}

impl Screen {
    fn show(&mut self, event: JobEvent) {
        match event {
            JobEvent::Serving { good, present_len } => self.show_serving(&good, present_len),
            JobEvent::Progress(snapshot) if self.args.json => {
                Json::progress(&snapshot, 0, Some(&self.file.manifest)).iter().for_each(Json::print);
            }
            JobEvent::Progress(snapshot) => self.view.show(&snapshot),
            JobEvent::Peer(node, news) => self.show_peer(node, news),
            JobEvent::Chunk(chunk, news) => self.show_chunk(chunk, news),
            JobEvent::Trouble(trouble) => self.tell(Json::trouble(&trouble), Some(trouble.reason)),
            JobEvent::Trust(error) => {
                let line = format!("{error}; going on with what held before");
                self.tell(Json::trust(&line), Some(line));
            }
            JobEvent::Moved(ticket) => self.show_moved(*ticket),
            // Of fetches.
            JobEvent::Sealed
            | JobEvent::Opening(_)
            | JobEvent::Unmatched(_)
            | JobEvent::Hashing(_)
            | JobEvent::LastLook(_)
            | JobEvent::Ready(_)
            | JobEvent::LittleRoom { .. }
            | JobEvent::LeftOut(_)
            | JobEvent::Warning(_)
            | JobEvent::Seeding(_) => {}
        }
    }

    fn show_serving(&self, good: &Bitfield, present_len: u64) {
        let (manifest, ticket) = (&self.file.manifest, &self.ticket);
        let geometry = manifest.geometry();
        if self.args.json {
            let ready = Json::Ready {
                node: self.endpoint.node_id().to_string(),
                content: manifest.id().to_string(),
                name: manifest.name(),
                ticket: Some(ticket.to_string()),
                bytes: geometry.content_len(),
                present_bytes: present_len,
                files: geometry.file_count(),
                chunks: geometry.chunk_count(),
                sources: 1,
            };
            return ready.print();
        }
        let part = if good.is_full() {
            String::new()
        } else {
            format!(" ({} of {} chunks)", good.count(), good.len())
        };
        let addresses: Vec<String> =
            ticket.sources.iter().flat_map(|s| &s.addresses).map(ToString::to_string).collect();
        output::note(format_args!(
            "seeding {}, {}{part}, at {}",
            manifest.name(),
            ByteLen(present_len),
            addresses.join(" ")
        ));
        if ticket.sources.iter().all(|source| place::is_cut_off(&self.endpoint, source)) {
            output::note(
                "this machine has no network yet, so the ticket is good on this machine alone: a new one comes with the network",
            );
        }
        output::note("others fetch it with: swarm fetch TICKET");
        if let Some(address) = addresses.first().filter(|_| self.args.web.web) {
            if swarm_web_server::has_page() {
                output::note(format_args!("or in a browser: https://{address}/get#TICKET"));
            } else {
                output::note("this build has no page for browsers: run `cargo xtask web` and build again");
            }
        }
        output::report(ticket);
    }

    fn show_moved(&mut self, ticket: Ticket) {
        self.ticket = ticket;
        let sources = &self.ticket.sources;
        let addresses: Vec<&str> =
            sources.iter().flat_map(|source| &source.addresses).map(Address::as_str).collect();
        let message = format!("this node is reached at {} now: hand out the new ticket", addresses.join(" "));
        // Before the ticket is shown: who reads the one may read the other.
        sources.iter().for_each(|source| name_first(&mut self.file, source.clone()));
        let written = self.args.manifest_out.iter().try_for_each(|out| write_manifest(out, &self.file));
        if let Err(failure) = written {
            output::note(format_args!(
                "{}; going on with the manifest as it was written before",
                failure.error
            ));
        }
        moved(self.args.json, message, Some(&self.ticket));
    }

    fn show_peer(&mut self, node: NodeId, news: PeerNews) {
        self.joining.iter_mut().for_each(|joining| joining.show(node, &news));
        let (state, short) = (news.state(), node.short());
        let (detail, line) = match news {
            PeerNews::Found(way) => (Some(way.name().to_owned()), None),
            PeerNews::Joined { agent } => (Some(agent), None),
            PeerNews::Left { reason } => (Some(reason), None),
            PeerNews::Denied => (None, Some(format!("peer {short} asked for what it may not have"))),
            PeerNews::Completed => (None, Some(format!("peer {short} has everything now"))),
            PeerNews::Banned(violation) => {
                (Some(violation.to_string()), Some(format!("banned peer {short}: {violation}")))
            }
            PeerNews::Blames(chunk) => {
                let name = output::chunk_name(chunk, Some(&self.file.manifest));
                let line = format!("peer {short} says {name} from here was corrupt: check this machine");
                (Some(line.clone()), Some(line))
            }
            PeerNews::Accused { by } => {
                let line = format!("peer {} says that {short} gave it wrong chunks", by.short());
                (Some(line.clone()), Some(line))
            }
            PeerNews::ToldBy(_)
            | PeerNews::Unreachable { .. }
            | PeerNews::Refused(_)
            | PeerNews::Declined(_)
            | PeerNews::Durable => return,
        };
        self.tell(Json::peer(node, state, detail), line);
    }

    fn show_chunk(&self, chunk: ChunkIndex, news: ChunkNews) {
        let manifest = &self.file.manifest;
        let (number, path) = output::chunk_place(chunk, manifest);
        match news {
            ChunkNews::Withdrawn => {
                let name = output::chunk_name(chunk, Some(manifest));
                let line = format!("withdrew {name}: the data changed; seed it anew");
                self.tell(Json::ChunkLost { chunk: number, path }, Some(line));
            }
            ChunkNews::Unreadable { reason } => {
                let line = output::read_trouble(&reason);
                self.tell(Json::ReadTrouble { chunk: number, path, message: reason }, Some(line));
            }
            ChunkNews::Readable => {
                let line = output::read_again(&path);
                self.tell(Json::ReadAgain { chunk: number, path }, Some(line));
            }
        }
    }

    fn tell(&self, json: Json, line: Option<String>) {
        match line {
            _ if self.args.json => json.print(),
            Some(line) => output::note(line),
            None => {}
        }
    }
}
