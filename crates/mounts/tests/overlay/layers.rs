//! Layers as text, and operations as text.
//!
//! Layers: `ro /video: a=1 d/b=2* e/ l->a | target: a=9 | white: d/b`. `a=1` is a file with the text `1`, `b=2*` is executable, `e/` is an
//! empty folder, `l->a` is a link. Folders above are there without being named. `target /work:` is a sync target with a libpath.
//!
//! Operations: `put a=5`, `mkdir d`, `rm a`, `mv a b`, `exec a`, `noexec a`, `link l->a`. Each expects what the library shows.

use std::any::Any;
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use swarm_mounts::{
    MemoryWhiteouts, MountKind, MountSpec, Overlay, OverlayError, OverlayOptions, Whiteouts as _, mark_target,
};
use swarm_sync::{
    ContentHash, ContentSource, Done, Entry, FileContent, Found, FoundKind, Kind, Op, OpKind, Replica as _,
    ReplicaError, RunId, Seen, Source, StageJob, Stamp, TreePath,
};

pub(crate) const GUID: &str = "jdfhdhdbe484746";

/// The layers of a library on disk.
pub(crate) struct World {
    pub(crate) root: tempfile::TempDir,
    pub(crate) specs: Vec<MountSpec>,
    pub(crate) whiteouts: Arc<MemoryWhiteouts>,
    pub(crate) overlay: Overlay,
    runs: u64,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Folder,
    File { text: String, executable: bool },
    Link(String),
}

pub(crate) type Nodes = BTreeMap<TreePath, Node>;

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("a path")
}

/// One layer of the text.
pub(crate) struct Layer {
    pub(crate) kind: &'static str,
    pub(crate) libpath: Option<TreePath>,
    pub(crate) nodes: Nodes,
}

pub(crate) fn parse(text: &str) -> Vec<Layer> {
    text.split('|').map(str::trim).filter(|text| !text.is_empty()).map(parse_layer).collect()
}

fn parse_layer(text: &str) -> Layer {
    let (head, entries) = text.split_once(':').expect("a layer has a head");
    let mut head = head.split_whitespace();
    let kind = ["ro", "target", "white"].into_iter().find(|kind| head.clone().next() == Some(kind));
    let libpath = head.nth(1).and_then(|path| TreePath::new(path.trim_matches('/')).ok());
    Layer { kind: kind.expect("a kind of layer"), libpath, nodes: parse_nodes(entries) }
}

pub(crate) fn parse_nodes(text: &str) -> Nodes {
    let mut nodes = Nodes::new();
    for entry in text.split_whitespace() {
        let (place, node) = parse_node(entry);
        nodes.extend(place.ancestors().map(|above| (above, Node::Folder)));
        nodes.insert(place, node);
    }
    nodes
}

fn parse_node(text: &str) -> (TreePath, Node) {
    if let Some((place, target)) = text.split_once("->") {
        return (path(place), Node::Link(target.to_owned()));
    }
    match text.split_once('=') {
        Some((place, text)) => {
            let executable = text.ends_with('*');
            (path(place), Node::File { text: text.trim_end_matches('*').to_owned(), executable })
        }
        None => (path(text.trim_end_matches('/')), Node::Folder),
    }
}

/// As in the layers; folders too.
pub(crate) fn show(nodes: &Nodes) -> String {
    let show = |(path, node): (&TreePath, &Node)| match node {
        Node::Folder => format!("{path}/"),
        Node::File { text, executable } => format!("{path}={text}{}", if *executable { "*" } else { "" }),
        Node::Link(target) => format!("{path}->{target}"),
    };
    nodes.iter().map(show).collect::<Vec<_>>().join(" ")
}

pub(crate) fn make(dir: &Path, nodes: &Nodes) {
    std::fs::create_dir_all(dir).unwrap();
    for (place, node) in nodes {
        let place = dir.join(place.as_str());
        match node {
            Node::Folder => std::fs::create_dir_all(&place).unwrap(),
            Node::File { text, executable } => {
                std::fs::write(&place, text).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            Node::Link(target) => symlink(target, &place).unwrap(),
        }
    }
}

/// What stands in a folder, without what is ours.
pub(crate) fn read_folder(dir: &Path) -> Nodes {
    let mut nodes = Nodes::new();
    read_below(dir, None, &mut nodes);
    nodes
}

fn read_below(dir: &Path, folder: Option<&TreePath>, nodes: &mut Nodes) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if folder.is_none() && name == ".swarm" {
            continue;
        }
        let place = TreePath::below(folder, &name).unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            read_below(&entry.path(), Some(&place), nodes);
        }
        nodes.insert(place, node_at(&entry.path()));
    }
}

fn node_at(place: &Path) -> Node {
    let metadata = std::fs::symlink_metadata(place).unwrap();
    if metadata.is_dir() {
        Node::Folder
    } else if metadata.is_symlink() {
        Node::Link(std::fs::read_link(place).unwrap().to_str().unwrap().to_owned())
    } else {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        Node::File { text: std::fs::read_to_string(place).unwrap(), executable }
    }
}

/// An entry that a node is, as if it had been observed long ago: its stamp is another one, so that files are read.
pub(crate) fn entry_of(node: &Node) -> Entry {
    let kind = match node {
        Node::Folder => Kind::Folder,
        Node::File { text, executable } => Kind::File(content_of(text, *executable)),
        Node::Link(target) => Kind::Symlink { target: target.as_str().into() },
    };
    Entry { kind, modified_ns: 0, stamp: Stamp::default() }
}

fn content_of(text: &str, executable: bool) -> FileContent {
    FileContent { len: text.len() as u64, hash: ContentHash::of(text.as_bytes()), executable }
}

impl World {
    pub(crate) fn new(text: &str) -> Self {
        Self::of(&parse(text))
    }

    pub(crate) fn of(layers: &[Layer]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let whiteouts = Arc::new(MemoryWhiteouts::default());
        let mut specs = Vec::new();
        for layer in layers {
            if layer.kind == "white" {
                let paths: Vec<TreePath> = layer
                    .nodes
                    .keys()
                    .filter(|path| !layer.nodes.keys().any(|other| other.is_below(path)))
                    .cloned()
                    .collect();
                whiteouts.insert(&paths).unwrap();
                continue;
            }
            let dir = root.path().join(format!("{}-{}", specs.len(), layer.kind));
            make(&dir, &layer.nodes);
            let kind = if layer.kind == "ro" { MountKind::ReadOnly } else { MountKind::SyncTarget };
            if kind == MountKind::SyncTarget {
                mark_target(&dir, GUID).unwrap();
            }
            specs.push(MountSpec { dir, libpath: layer.libpath.clone(), kind, min_free: 0 });
        }
        let overlay = open(&specs, &whiteouts).unwrap();
        Self { root, specs, whiteouts, overlay, runs: 0 }
    }

    /// Opens it anew, as another process would.
    pub(crate) fn reopen(&mut self) {
        self.overlay = open(&self.specs, &self.whiteouts).unwrap();
    }

    /// What the library shows.
    pub(crate) fn nodes(&self, place: Option<&TreePath>) -> Nodes {
        let node = |found: Found| {
            let file = self.overlay.file_path(&found.path);
            let node = match &found.kind {
                FoundKind::Folder => Node::Folder,
                FoundKind::File { .. } | FoundKind::Symlink { .. } => {
                    node_at(&file.expect("a place on disk"))
                }
            };
            (found.path, node)
        };
        self.walk(place).into_iter().map(node).collect()
    }

    pub(crate) fn walk(&self, place: Option<&TreePath>) -> Vec<Found> {
        let walk = self.overlay.walk(place).unwrap();
        let found = walk.map(|seen| match seen.unwrap() {
            Seen::Entry(found) => found,
            Seen::Blind(blind) => panic!("blind at {}: {}", blind.path, blind.why),
            Seen::Unnamed { shown, .. } => panic!("no path: {shown}"),
        });
        let found: Vec<Found> = found.collect();
        assert!(found.is_sorted_by(|a, b| a.path < b.path), "{found:?}");
        found
    }

    /// What the library shows at a path, observed now.
    pub(crate) fn observe(&self, place: &TreePath) -> Option<Entry> {
        let found = self.walk(Some(place)).into_iter().next().filter(|found| found.path == *place)?;
        let kind = match &found.kind {
            FoundKind::Folder => Kind::Folder,
            FoundKind::Symlink { target } => Kind::Symlink { target: target.clone() },
            FoundKind::File { .. } => {
                let read = self.overlay.hash(vec![found]).pop().expect("one result");
                return Some(read.expect("it is read").1);
            }
        };
        Some(Entry { kind, modified_ns: found.modified_ns, stamp: found.stamp })
    }

    /// The layers as they are on disk now.
    pub(crate) fn layers(&self) -> String {
        let layer = |spec: &MountSpec| {
            let kind = if spec.kind == MountKind::ReadOnly { "ro" } else { "target" };
            let libpath = spec.libpath.as_ref().map(|path| format!(" /{path}")).unwrap_or_default();
            // Folders that hold something need no word.
            let nodes = read_folder(&spec.dir);
            let is_told = |(path, node): &(&TreePath, &Node)| {
                **node != Node::Folder || !nodes.keys().any(|other| other.is_below(path))
            };
            let told =
                nodes.iter().filter(is_told).map(|(path, node)| (path.clone(), node.clone())).collect();
            format!("{kind}{libpath}: {}", show(&told)).trim_end().to_owned()
        };
        let mut shown: Vec<String> = self.specs.iter().map(layer).collect();
        let white = self.whiteouts.within(None).unwrap();
        if !white.is_empty() {
            shown
                .push(format!("white: {}", white.iter().map(TreePath::as_str).collect::<Vec<_>>().join(" ")));
        }
        shown.join(" | ")
    }

    /// Stages and performs operations as a run does, and makes all durable.
    pub(crate) fn perform(&mut self, ops: Vec<TestOp>) -> Vec<Result<Done, ReplicaError>> {
        self.runs += 1;
        let run = RunId::at_ms(1_795_947_300_000 + self.runs);
        let mut staged_ops = Vec::new();
        let mut refused = BTreeMap::new();
        for (at, TestOp { op, text }) in ops.into_iter().enumerate() {
            let staged = match (&op.kind, text) {
                (OpKind::Put { content: Kind::File(content), modified_ns, .. }, Some(text)) => {
                    let job = StageJob {
                        path: op.path.clone(),
                        standing: op.expected.as_deref().cloned(),
                        content: *content,
                        modified_ns: *modified_ns,
                        source: Box::new(Text(text.into_bytes())),
                    };
                    match self.overlay.stage(vec![job], &|_| {}).pop().expect("one result") {
                        Ok(staged) => Some(staged),
                        Err(error) => {
                            refused.insert(at, error);
                            continue;
                        }
                    }
                }
                _ => None,
            };
            staged_ops.push((op, staged));
        }
        self.overlay.settle_staged().unwrap();
        let mut results = self.overlay.perform(run, staged_ops);
        for (at, error) in refused {
            results.insert(at, Err(error));
        }
        self.overlay.settle().unwrap();
        results
    }

    /// Parses an operation that expects what the library shows now.
    pub(crate) fn op(&self, text: &str) -> TestOp {
        let (verb, rest) = text.trim().split_once(' ').expect("a verb");
        let observe = |text: &str| self.observe(&path(text)).map(Box::new);
        match verb {
            "put" | "link" => {
                let (place, node) = parse_node(rest);
                let expected = observe(place.as_str());
                put(place, &node, expected)
            }
            "mkdir" => TestOp::of(path(rest), OpKind::MakeFolder, None),
            "rm" => TestOp::of(path(rest), OpKind::Remove, observe(rest)),
            "exec" => TestOp::of(path(rest), OpKind::SetExecutable { executable: true }, observe(rest)),
            "noexec" => TestOp::of(path(rest), OpKind::SetExecutable { executable: false }, observe(rest)),
            "mv" => {
                let (from, to) = rest.split_once(' ').expect("two places");
                TestOp::of(path(to), OpKind::Move { from: path(from) }, observe(from))
            }
            verb => panic!("no operation: {verb}"),
        }
    }
}

/// An operation, and the text that it puts.
pub(crate) struct TestOp {
    pub(crate) op: Op,
    pub(crate) text: Option<String>,
}

impl TestOp {
    pub(crate) fn of(path: TreePath, kind: OpKind, expected: Option<Box<Entry>>) -> Self {
        Self { op: Op { path, kind, expected }, text: None }
    }
}

pub(crate) fn put(place: TreePath, node: &Node, expected: Option<Box<Entry>>) -> TestOp {
    let source = Source::Other { path: place.clone() };
    let kind = OpKind::Put { content: entry_of(node).kind, modified_ns: 1_000_000_000, source };
    let text = match node {
        Node::File { text, .. } => Some(text.clone()),
        Node::Folder | Node::Link(_) => None,
    };
    TestOp { text, ..TestOp::of(place, kind, expected) }
}

pub(crate) fn open(specs: &[MountSpec], whiteouts: &Arc<MemoryWhiteouts>) -> Result<Overlay, OverlayError> {
    let whiteouts: Arc<MemoryWhiteouts> = Arc::clone(whiteouts);
    Overlay::open(specs.to_vec(), whiteouts, OverlayOptions::new(GUID))
}

/// Bytes of a test.
pub(crate) struct Text(pub Vec<u8>);

impl ContentSource for Text {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let rest = &self.0[usize::try_from(offset).unwrap().min(self.0.len())..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Reads a whole source.
pub(crate) fn read(mut source: Box<dyn ContentSource>) -> Result<String, ReplicaError> {
    let mut bytes = Vec::new();
    let mut buf = [0; 7];
    loop {
        match source.read_at(bytes.len() as u64, &mut buf)? {
            0 => return Ok(String::from_utf8(bytes).unwrap()),
            len => bytes.extend_from_slice(&buf[..len]),
        }
    }
}

/// All folders and files below some, with what the disk tells of them.
pub(crate) fn disk_state(dirs: &[PathBuf]) -> Vec<(PathBuf, Vec<i64>)> {
    use std::os::unix::fs::MetadataExt as _;
    let state = |place: PathBuf| {
        let told = std::fs::symlink_metadata(&place).unwrap();
        let numbers = [told.mtime(), told.mtime_nsec(), told.ctime(), told.ctime_nsec()];
        let of_file = [told.size().cast_signed(), told.ino().cast_signed(), i64::from(told.mode())];
        (place, numbers.into_iter().chain(of_file).collect())
    };
    let mut places: Vec<PathBuf> = dirs.iter().flat_map(|dir| places_below(dir)).collect();
    places.sort();
    places.into_iter().map(state).collect()
}

pub(crate) fn places_below(dir: &Path) -> Vec<PathBuf> {
    let mut places = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            places.extend(places_below(&entry.path()));
        } else {
            places.push(entry.path());
        }
    }
    places
}
