//! Random layers and random operations, against a tree in a map. The map knows no layers: it has what the library shows, and an operation
//! changes it as it would change a plain folder.

use std::path::PathBuf;

use fastrand::Rng;
use swarm_mounts::MountKind;
use swarm_sync::{OpKind, Replica as _, TreePath};

use crate::layers::{Layer, Node, Nodes, TestOp, World, disk_state, entry_of, path, put, read, show};

/// What the library shows of layers, worked out path by path.
fn merged(layers: &[Layer]) -> Nodes {
    let at_or_above = |path: &TreePath, set: &[TreePath]| set.iter().any(|at| path.is_at_or_below(at));
    let whiteouts: Vec<TreePath> = layers
        .iter()
        .filter(|layer| layer.kind == "white")
        .flat_map(|layer| {
            let is_leaf = |path: &&TreePath| !layer.nodes.keys().any(|other| other.is_below(path));
            layer.nodes.keys().filter(is_leaf).cloned()
        })
        .collect();
    let outward = |layer: &Layer, inside: &TreePath| match &layer.libpath {
        Some(libpath) => path(&format!("{}/{}", libpath.as_str(), inside.as_str())),
        None => inside.clone(),
    };
    let read_only: Vec<&Layer> = layers.iter().filter(|layer| layer.kind == "ro").collect();
    let mut lower = Nodes::new();
    for layer in &read_only {
        let depth = |layer: &Layer| layer.libpath.as_ref().map_or(0, |path| path.components().count());
        for (inside, node) in &layer.nodes {
            let place = outward(layer, inside);
            let is_hidden = |other: &&&Layer| {
                depth(other) > depth(layer)
                    && other.libpath.as_ref().is_some_and(|libpath| place.is_at_or_below(libpath))
            };
            if !read_only.iter().any(|other| is_hidden(&other)) && !at_or_above(&place, &whiteouts) {
                lower.insert(place, node.clone());
            }
        }
    }
    for libpath in read_only.iter().filter_map(|layer| layer.libpath.clone()) {
        let folders = std::iter::once(libpath.clone()).chain(libpath.ancestors());
        let shown = folders.filter(|folder| !at_or_above(folder, &whiteouts)).collect::<Vec<_>>();
        for folder in shown {
            lower.insert(folder, Node::Folder);
        }
    }
    let mut all = Nodes::new();
    for target in layers.iter().filter(|layer| layer.kind == "target") {
        all.extend(target.nodes.iter().map(|(inside, node)| (outward(target, inside), node.clone())));
        all.extend(fixed(target.libpath.as_ref()).into_iter().map(|path| (path, Node::Folder)));
    }
    let is_shadowed = |path: &TreePath, all: &Nodes| {
        path.ancestors().any(|above| all.get(&above).is_some_and(|node| *node != Node::Folder))
    };
    let shown: Vec<_> =
        lower.into_iter().filter(|(path, _)| !all.contains_key(path) && !is_shadowed(path, &all)).collect();
    all.extend(shown);
    all
}

fn fixed(libpath: Option<&TreePath>) -> Vec<TreePath> {
    libpath.into_iter().flat_map(|path| std::iter::once(path.clone()).chain(path.ancestors())).collect()
}

/// A tree as a plain folder would be, of which only a part may be written.
struct Model {
    nodes: Nodes,
    writable: Writable,
}

/// Where the sync target is.
enum Writable {
    Nowhere,
    Everywhere,
    Below(TreePath),
}

impl Model {
    /// Performs an operation if it can be; says whether it could.
    fn perform(&mut self, op: &TestOp, text: Option<&Node>) -> bool {
        let path = &op.op.path;
        match (&op.op.kind, self.nodes.get(path).cloned()) {
            (OpKind::MakeFolder, Some(node)) => node == Node::Folder,
            (OpKind::MakeFolder, None) => self.takes(path) && self.set(path, Node::Folder),
            (OpKind::Put { .. }, standing) => {
                standing != Some(Node::Folder)
                    && self.is_expected(path, op)
                    && self.takes(path)
                    && self.set(path, text.expect("something to put").clone())
            }
            (OpKind::SetExecutable { executable }, Some(Node::File { text, .. })) => {
                let executable = *executable;
                self.is_expected(path, op)
                    && self.takes(path)
                    && self.set(path, Node::File { text, executable })
            }
            (OpKind::Remove, Some(_)) => {
                self.is_expected(path, op)
                    && !self.is_fixed(path)
                    && !self.nodes.keys().any(|other| other.is_below(path))
                    && self.nodes.remove(path).is_some()
            }
            (OpKind::Move { from }, None) => {
                self.nodes.contains_key(from)
                    && self.is_expected(from, op)
                    && !self.is_fixed(from)
                    && self.takes(path)
                    && self.rename(from, path)
            }
            (OpKind::SetExecutable { .. } | OpKind::Remove | OpKind::Move { .. }, _) => false,
        }
    }

    fn is_expected(&self, at: &TreePath, op: &TestOp) -> bool {
        let expected = op.op.expected.as_ref().map(|entry| &entry.kind);
        self.nodes.get(at).map(|node| entry_of(node).kind).as_ref() == expected
    }

    /// Whether the path is in the sync target, and in a folder.
    fn takes(&self, path: &TreePath) -> bool {
        let is_in_target = match &self.writable {
            Writable::Nowhere => false,
            Writable::Everywhere => true,
            Writable::Below(libpath) => path.is_below(libpath),
        };
        is_in_target && path.parent().is_none_or(|parent| self.nodes.get(&parent) == Some(&Node::Folder))
    }

    fn is_fixed(&self, path: &TreePath) -> bool {
        matches!(&self.writable, Writable::Below(libpath) if libpath.is_at_or_below(path))
    }

    fn set(&mut self, path: &TreePath, node: Node) -> bool {
        self.nodes.insert(path.clone(), node);
        true
    }

    fn rename(&mut self, from: &TreePath, to: &TreePath) -> bool {
        let nodes = std::mem::take(&mut self.nodes);
        let moved = |(path, node): (TreePath, Node)| (path.moved(from, to).unwrap_or(path), node);
        self.nodes = nodes.into_iter().map(moved).collect();
        true
    }
}

/// Few names, so that layers meet.
fn random_path(rng: &mut Rng) -> TreePath {
    let depth = rng.usize(1..=3);
    let names: Vec<&str> = (0..depth).map(|_| *rng.choice(["a", "b", "c"].iter()).expect("a name")).collect();
    path(&names.join("/"))
}

fn random_node(rng: &mut Rng) -> Node {
    match rng.u8(0..8) {
        0 => Node::Link("x".to_owned()),
        1 => Node::File { text: String::new(), executable: false },
        _ => Node::File { text: rng.u8(0..100).to_string(), executable: rng.u8(0..4) == 0 },
    }
}

fn random_layer(rng: &mut Rng, kind: &'static str, libpath: Option<TreePath>) -> Layer {
    let mut nodes = Nodes::new();
    let count = if kind == "white" { rng.usize(0..3) } else { rng.usize(0..8) };
    for _ in 0..count {
        let place = random_path(rng);
        let node = if kind == "white" || rng.u8(0..5) == 0 { Node::Folder } else { random_node(rng) };
        let is_free = !nodes.keys().any(|other: &TreePath| other.is_at_or_below(&place))
            && place.ancestors().all(|above| nodes.get(&above).is_none_or(|node| *node == Node::Folder));
        if is_free {
            nodes.extend(place.ancestors().map(|above| (above, Node::Folder)));
            nodes.insert(place, node);
        }
    }
    Layer { kind, libpath, nodes }
}

fn random_layers(rng: &mut Rng) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut libpaths: Vec<Option<TreePath>> = vec![None];
    libpaths.extend((0..2).map(|_| Some(random_path(rng))));
    libpaths.sort();
    libpaths.dedup();
    for libpath in libpaths {
        if rng.u8(0..4) > 0 {
            layers.push(random_layer(rng, "ro", libpath));
        }
    }
    match rng.u8(0..8) {
        0 => {}
        1 => {
            let libpath = Some(random_path(rng));
            layers.push(random_layer(rng, "target", libpath));
        }
        _ => layers.push(random_layer(rng, "target", None)),
    }
    layers.push(random_layer(rng, "white", None));
    layers
}

/// Most operations are possible ones.
fn random_op(rng: &mut Rng, model: &Model) -> (TestOp, Option<Node>) {
    let paths: Vec<&TreePath> = model.nodes.keys().collect();
    let standing = |rng: &mut Rng| match rng.choice(paths.iter()) {
        Some(path) if rng.u8(0..10) > 0 => (*path).clone(),
        _ => random_path(rng),
    };
    let expected = |rng: &mut Rng, path: &TreePath| {
        let node = if rng.u8(0..20) == 0 { Some(random_node(rng)) } else { model.nodes.get(path).cloned() };
        node.map(|node| Box::new(entry_of(&node)))
    };
    match rng.u8(0..10) {
        0 => (TestOp::of(random_path(rng), OpKind::MakeFolder, None), None),
        1..=3 => {
            let place = if rng.bool() { standing(rng) } else { random_path(rng) };
            let node = random_node(rng);
            let expected = expected(rng, &place);
            (put(place, &node, expected), Some(node))
        }
        4 => {
            let place = standing(rng);
            let expected = expected(rng, &place);
            (TestOp::of(place, OpKind::SetExecutable { executable: rng.bool() }, expected), None)
        }
        5..=7 => {
            let place = standing(rng);
            let expected = expected(rng, &place);
            (TestOp::of(place, OpKind::Remove, expected), None)
        }
        _ => {
            let from = standing(rng);
            let mut to = random_path(rng);
            while to.is_at_or_below(&from) {
                to = random_path(rng);
                if from.components().count() == 1 && rng.u8(0..20) == 0 {
                    to = path("d");
                }
            }
            let expected = expected(rng, &from);
            (TestOp::of(to, OpKind::Move { from }, expected), None)
        }
    }
}

/// What the library shows is what the map has; read through sources too.
fn compare(world: &World, nodes: &Nodes, rng: &mut Rng, seed: u64) {
    assert_eq!(show(&world.nodes(None)), show(nodes), "seed {seed}");
    let place = random_path(rng);
    let part = nodes.iter().filter(|(path, _)| path.is_at_or_below(&place));
    let part: Nodes = part.map(|(path, node)| (path.clone(), node.clone())).collect();
    assert_eq!(show(&world.nodes(Some(&place))), show(&part), "seed {seed}, at {place}");
    let tops: Vec<TreePath> = nodes.keys().filter(|path| path.parent().is_none()).cloned().collect();
    let each: Vec<_> = world.overlay.walk_each(&tops).collect();
    let whole: Vec<_> = world.overlay.walk(None).unwrap().collect();
    assert_eq!(each, whole, "seed {seed}: place by place it is the same walk");
    for (path, node) in part {
        let Node::File { text, .. } = &node else { continue };
        let entry = world.observe(&path).expect("it stands there");
        assert_eq!(entry.kind, entry_of(&node).kind, "seed {seed}, {path}");
        assert_eq!(read(world.overlay.source(&path, &entry)).as_ref(), Ok(text), "seed {seed}, {path}");
    }
}

fn check_seed(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let layers = random_layers(&mut rng);
    let mut world = World::of(&layers);
    let read_only = world.specs.iter().filter(|spec| spec.kind == MountKind::ReadOnly);
    let read_only: Vec<PathBuf> = read_only.map(|spec| spec.dir.clone()).collect();
    let before = disk_state(&read_only);
    let writable = match layers.iter().find(|layer| layer.kind == "target") {
        None => Writable::Nowhere,
        Some(target) => target.libpath.clone().map_or(Writable::Everywhere, Writable::Below),
    };
    let mut model = Model { nodes: merged(&layers), writable };
    compare(&world, &model.nodes, &mut rng, seed);
    for _ in 0..8 {
        let (mut ops, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..rng.usize(1..6) {
            let (op, node) = random_op(&mut rng, &model);
            let is_done = model.perform(&op, node.as_ref());
            expected.push((format!("{:?} {}", op.op.kind, op.op.path), is_done));
            ops.push(op);
        }
        let layers_before = world.layers();
        let results = world.perform(ops);
        for ((op, is_done), result) in expected.iter().zip(&results) {
            assert_eq!(
                result.is_ok(),
                *is_done,
                "seed {seed}, {op}: {result:?}; all: {expected:?}; before: {layers_before}"
            );
        }
        if rng.u8(0..4) == 0 {
            world.reopen();
            world.overlay.recover().unwrap();
        }
        if rng.u8(0..4) == 0 {
            world.overlay.forget_stale_whiteouts().unwrap();
        }
        compare(&world, &model.nodes, &mut rng, seed);
    }
    assert_eq!(disk_state(&read_only), before, "seed {seed}");
}

#[test]
fn random_operations_do_to_layers_what_they_do_to_a_plain_folder() {
    (0..SEEDS).for_each(check_seed);
}

const SEEDS: u64 = 40;
