//! `swarm seed`: serve files in place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::args::{Global, SeedArgs};
use super::failure::{Exit, Failure};
use super::join::Joining;
use super::manifest::{self, index_paths, write_manifest};
use super::output::{self, Done, HashView, Json, SeedView};
use super::place::{self, Place};
use super::seal;
use super::setup::{self, Interrupts};
use super::source::manifest_file;
use super::trust;
use crate::base::limits::{PORT_MAP_PATIENCE, SEED_WINDOWS_LEN};
use crate::base::{Bitfield, ByteLen, ContentId, Instant};
use crate::engine::{Event, Join, Order};
use crate::manifest::{Address, Manifest, ManifestFile, Source, Ticket};
use crate::node::clock::{Clock, wall_clock};
use crate::node::{Node, NodeEvent, Options};
use crate::service::Guard;
use crate::storage::{IndexOptions, SeedStore, scan};
use crate::transport::Endpoint;

pub(super) async fn run(args: SeedArgs, global: &Global) -> Result<(), Failure> {
    let is_json = args.json;
    serve(args, None, global).await.map_err(|failure| output::told(failure, is_json))
}

/// Serves until the arguments say that it is enough, or what it joined does.
pub(super) async fn serve(args: SeedArgs, joining: Option<Joining>, global: &Global) -> Result<(), Failure> {
    args.find.check()?;
    let mut interrupts = Interrupts::catch()?;
    let (preparing, globals) = (args, global.clone());
    let prepare = tokio::task::spawn_blocking(move || {
        open(&preparing, &globals).map(|(file, store)| (preparing, file, store))
    });
    let (args, mut file, store) = tokio::select! {
        opened = prepare => opened.map_err(|_| Failure::new(Exit::Other, "hashing failed: this is a bug, please report it"))??,
        () = interrupts.next() => return Err(Failure::new(Exit::Interrupted, "interrupted while hashing; run the same command again")),
    };
    let manifest = file.manifest.clone();
    let identity = trust::identity(global, Some(manifest.id()), args.trust.cert.as_deref())?;
    let endpoint = setup::endpoint(args.listen, &identity, args.limit.link())?;
    let readers = args.readers.as_ref().map(|path| (manifest.id(), path));
    let guard = trust::guard(&endpoint, args.trust.files(readers))?;
    if args.listen.is_none() {
        identity.remember_port(endpoint.port())?;
    }
    if let Some(message) = place::lost_port(&endpoint) {
        moved(args.json, message, None);
    }
    let good = store.good().clone();
    let limits = args.limit.limits(0, SEED_WINDOWS_LEN);
    let options = Options {
        limits,
        finders: args.find.finders(),
        advertise: args.advertise.clone(),
        ..Options::default()
    };
    let (node, mut events, task) = Node::start(endpoint.clone(), options);
    if args.find.map_port {
        // A ticket is for outside: it is to name the mapped port.
        tokio::select! {
            _ = tokio::time::timeout(PORT_MAP_PATIENCE, endpoint.settled_addresses()) => {}
            () = interrupts.next() => {
                node.stop().await;
                let _ = task.await;
                return Ok(());
            }
        }
    }
    let ticket = ticket_with_key(&args, manifest.id())?;
    let source = own_source(&endpoint, &args.advertise);
    let coordinators = args.find.coordinator.clone();
    if args.sign {
        manifest::sign(&mut file, &identity);
    }
    let signatures = file.signatures.clone();
    let ticket = Ticket { sources: vec![source.clone()], coordinators, signatures, ..ticket };
    let place = Place::new(&endpoint, &args.advertise, &source);
    file.coordinators.clone_from(&args.find.coordinator);
    write_out(&args, &mut file, source)?;
    let join = Join {
        content: manifest.id(),
        manifest: Some(manifest.clone()),
        order: Order::RarestFirst,
        patience: None,
    };
    node.join(join).await;
    let nothing = Bitfield::new(good.len());
    node.open_store(manifest.id(), Arc::new(store), good.clone(), nothing).await;
    if let Some(joining) = &joining {
        joining.begin(&node, manifest.id()).await;
    }
    let (clock, present_len) = (Clock::start(), announce(&args, &endpoint, &manifest, &good, &ticket));
    let mut seed =
        Seed { view: SeedView::new(), manifest, taken: 0, args, joining, guard, place, file, ticket };
    let result = seed.watch(&node, &mut events, &mut interrupts).await;
    node.stop().await;
    let last = tokio::select! {
        last = task => last.unwrap_or_default(),
        () = interrupts.next() => return result,
    };
    if let (true, Ok(())) = (seed.args.json, &result) {
        let elapsed = clock.now() - Instant::ZERO;
        let done = Done::of(seed.manifest.id(), &last, present_len, elapsed.as_secs_f64());
        done.into_iter().for_each(|done| Json::Done(done).print());
    }
    result
}

/// Writes the manifest with this node as its first source, if that is wanted.
fn write_out(args: &SeedArgs, file: &mut ManifestFile, source: Source) -> Result<(), Failure> {
    let Some(out) = &args.manifest_out else { return Ok(()) };
    file.sources.retain(|known| known.node != source.node);
    file.sources.insert(0, source);
    write_manifest(out, file)
}

/// Tells that tickets of before lead nowhere, and shows the new one.
pub(super) fn moved(is_json: bool, message: String, ticket: Option<&Ticket>) {
    if is_json {
        return Json::Moved { message, ticket: ticket.map(ToString::to_string) }.print();
    }
    output::note(message);
    if let Some(ticket) = ticket {
        output::result(ticket);
    }
}

/// A ticket with the key of a sealed content, for everybody or for those who are named.
fn ticket_with_key(args: &SeedArgs, content: ContentId) -> Result<Ticket, Failure> {
    let ticket = Ticket::new(content);
    let Some(path) = &args.seal else { return Ok(ticket) };
    let key = seal::key_in(path)?;
    if args.seal_for.is_empty() {
        return Ok(Ticket { key: Some(key), ..ticket });
    }
    Ok(Ticket { wrapped_keys: seal::wrapped(&key, content, &args.seal_for)?, ..ticket })
}

/// Hashes the paths, or what they hold of a given manifest.
fn open(args: &SeedArgs, global: &Global) -> Result<(ManifestFile, SeedStore), Failure> {
    let Some(path) = &args.manifest else {
        let outs: Vec<PathBuf> = args.manifest_out.iter().cloned().collect();
        let made = index_paths((&args.paths, &outs), IndexOptions::default(), global, args.json)?;
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
            Exit::Usage,
            "--manifest takes one PATH: the folder that holds (a part of) the content",
        ));
    };
    Failure::unless_there(root)?;
    let view = HashView::new("verifying", args.json);
    let found = scan(&file.manifest, root, &|progress| view.show(progress))?;
    drop(view);
    if found.good.is_empty() && file.manifest.geometry().chunk_count() > 0 {
        let message =
            format!("`{}` holds no chunk of {}: name the folder that does", root.display(), path.display());
        return Err(Failure::new(Exit::Integrity, message));
    }
    let store = SeedStore::new(file.manifest.clone(), found.roots, found.good, wall_clock);
    Ok((file, store))
}

/// This node as others may reach it.
pub(super) fn own_source(endpoint: &Endpoint, advertised: &[Address]) -> Source {
    endpoint.source(advertised)
}

/// Tells that it is ready. Returns how many bytes it serves.
fn announce(
    args: &SeedArgs,
    endpoint: &Endpoint,
    manifest: &Manifest,
    good: &Bitfield,
    ticket: &Ticket,
) -> u64 {
    let geometry = manifest.geometry();
    let present_len: u64 = geometry
        .chunks()
        .filter(|chunk| good.contains(chunk.get()))
        .map(|chunk| u64::from(geometry.chunk_len(chunk)))
        .sum();
    if args.json {
        let ready = Json::Ready {
            node: endpoint.node_id().to_string(),
            content: manifest.id().to_string(),
            name: manifest.name(),
            ticket: Some(ticket.to_string()),
            bytes: geometry.content_len(),
            present_bytes: present_len,
            files: geometry.file_count(),
            chunks: geometry.chunk_count(),
            sources: 1,
        };
        ready.print();
        return present_len;
    }
    let part =
        if good.is_full() { String::new() } else { format!(" ({} of {} chunks)", good.count(), good.len()) };
    let addresses: Vec<String> =
        ticket.sources.iter().flat_map(|s| &s.addresses).map(ToString::to_string).collect();
    output::note(format_args!(
        "seeding {}, {}{part}, at {}",
        manifest.name(),
        ByteLen(present_len),
        addresses.join(" ")
    ));
    if ticket.sources.iter().all(|source| place::is_cut_off(endpoint, source)) {
        output::note(
            "this machine has no network yet, so the ticket is good on this machine alone: a new one comes with the network",
        );
    }
    output::note("others fetch it with: swarm fetch TICKET");
    output::result(ticket);
    present_len
}

struct Seed {
    args: SeedArgs,
    view: SeedView,
    manifest: Manifest,
    taken: u64,
    joining: Option<Joining>,
    guard: Guard,
    place: Place,
    /// As it is written to `--manifest-out`.
    file: ManifestFile,
    ticket: Ticket,
}

impl Seed {
    async fn watch(
        &mut self,
        node: &Node,
        events: &mut tokio::sync::mpsc::Receiver<NodeEvent>,
        interrupts: &mut Interrupts,
    ) -> Result<(), Failure> {
        let wanted = if self.args.once { Some(1) } else { self.args.count };
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(event) = events.recv() => {
                    if let Some(end) = self.on_joined_event(&event) {
                        return end;
                    }
                    self.on_event(event);
                }
                _ = tick.tick() => {
                    self.look_at_trust();
                    self.look_at_place();
                    self.show(node).await;
                }
                () = interrupts.next() => return Err(Failure::new(Exit::Interrupted, "interrupted; run the same command to serve again")),
            }
            if wanted.is_some_and(|wanted| self.taken >= wanted) {
                return Ok(());
            }
        }
    }

    fn look_at_trust(&mut self) {
        if let Err(error) = self.guard.look() {
            let line = format!("{error}; going on with what held before");
            self.tell(Json::trust(&line), Some(line));
        }
    }

    fn look_at_place(&mut self) {
        let Some(source) = self.place.look() else { return };
        let addresses: Vec<&str> = source.addresses.iter().map(Address::as_str).collect();
        let message = format!("this node is reached at {} now: hand out the new ticket", addresses.join(" "));
        self.ticket.sources = vec![source.clone()];
        // Before the ticket is shown: who reads the one may read the other.
        if let Err(failure) = write_out(&self.args, &mut self.file, source) {
            output::note(format_args!(
                "{}; going on with the manifest as it was written before",
                failure.error
            ));
        }
        moved(self.args.json, message, Some(&self.ticket));
    }

    async fn show(&mut self, node: &Node) {
        let snapshot = node.snapshot().await;
        if !self.args.json {
            self.view.show(&snapshot);
        } else if let Some(progress) = Json::progress(&snapshot, 0, Some(&self.manifest)) {
            progress.print();
        }
    }

    fn on_joined_event(&mut self, event: &NodeEvent) -> Option<Result<(), Failure>> {
        match (event, &mut self.joining) {
            (NodeEvent::Engine(event), Some(joining)) => joining.on_event(event),
            _ => None,
        }
    }

    fn on_event(&mut self, event: NodeEvent) {
        let event = match event {
            NodeEvent::Engine(event) => event,
            NodeEvent::Found(found) => {
                let (node, way) = (found.source.node, found.way.name());
                return self.tell(Json::peer(node, "found", Some(way.to_owned())), None);
            }
            NodeEvent::FinderTrouble(trouble) => {
                return self.tell(Json::trouble(&trouble), Some(trouble.reason));
            }
            NodeEvent::StoreError { .. } => return,
        };
        match event {
            Event::PeerJoined { node, agent } => self.tell(Json::peer(node, "joined", Some(agent)), None),
            Event::PeerLeft { node, reason } => self.tell(Json::peer(node, "left", Some(reason)), None),
            Event::PeerDenied { node, .. } => {
                let line = format!("peer {} asked for what it may not have", node.short());
                self.tell(Json::peer(node, "denied", None), Some(line));
            }
            Event::PeerCompleted { node, .. } => {
                self.taken += 1;
                let line = format!("peer {} has everything now", node.short());
                self.tell(Json::peer(node, "completed", None), Some(line));
            }
            Event::PeerBanned { node, violation } => {
                let line = format!("banned peer {}: {violation}", node.short());
                self.tell(Json::peer(node, "banned", Some(violation.to_string())), Some(line));
            }
            Event::BlamedByPeer { node, chunk, .. } => {
                let line = format!(
                    "peer {} says chunk {} from here was corrupt: check this machine",
                    node.short(),
                    chunk.get()
                );
                self.tell(Json::peer(node, "blames us", Some(line.clone())), Some(line));
            }
            Event::PeerAccused { node, by, .. } => {
                let line = format!("peer {} says that {} gave it wrong chunks", by.short(), node.short());
                self.tell(Json::peer(node, "accused", Some(line.clone())), Some(line));
            }
            Event::ChunkLost { chunk, .. } => {
                let path = self.manifest.file(self.manifest.geometry().span(chunk).file).path.to_string();
                let line = format!(
                    "withdrew chunk {} of `{path}`: the data changed or cannot be read; seed it anew",
                    chunk.get()
                );
                self.tell(Json::ChunkLost { chunk: chunk.get(), path }, Some(line));
            }
            Event::ManifestComplete { .. }
            | Event::PeerUnreachable { .. }
            | Event::PeerDeclined { .. }
            | Event::PeerDurable { .. }
            | Event::Offered { .. }
            | Event::PeerFound { .. }
            | Event::Completed { .. }
            | Event::Failed { .. }
            | Event::Left { .. }
            | Event::Stopped => {}
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
