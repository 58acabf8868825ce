//! Random trees and random edits. Few names and few contents, so that edits meet.

use swarm_core::base::Rng;

use super::tree::Tree;
use crate::{ContentHash, FileContent, Kind, TreePath};

/// A tree of up to `size` entries.
pub fn random_tree(rng: &mut Rng, size: u64) -> Tree {
    let mut tree = Tree { has_ids: true, now_ns: 1, ..Tree::default() };
    for _ in 0..rng.below(size + 1) {
        make(rng, &mut tree);
    }
    tree
}

/// Up to `count` edits of a user.
pub fn random_edits(rng: &mut Rng, tree: &mut Tree, count: u64) {
    for _ in 0..rng.below(count + 1) {
        // Clocks of two sides are not the same.
        tree.now_ns += rng.below(100).cast_signed();
        edit(rng, tree);
    }
}

fn edit(rng: &mut Rng, tree: &mut Tree) {
    match rng.below(12) {
        0 | 1 => make(rng, tree),
        2 | 3 => modify(rng, tree),
        4 => flip_bit(rng, tree),
        5 => delete(rng, tree),
        6..=8 => relocate(rng, tree),
        9 => swap(rng, tree),
        10 => replace(rng, tree),
        _ => turn(rng, tree),
    }
}

fn make(rng: &mut Rng, tree: &mut Tree) {
    let Some(path) = free_path(rng, tree) else { return };
    let kind = if rng.below(5) < 2 { Kind::Folder } else { leaf(rng) };
    tree.write(&path, kind);
}

fn modify(rng: &mut Rng, tree: &mut Tree) {
    let Some(path) = any_path(rng, tree) else { return };
    if !tree.entries[&path].is_folder() {
        let kind = leaf(rng);
        tree.write(&path, kind);
    }
}

fn flip_bit(rng: &mut Rng, tree: &mut Tree) {
    let Some(path) = any_path(rng, tree) else { return };
    if let Kind::File(content) = tree.entries[&path].kind {
        tree.write(&path, Kind::File(FileContent { executable: !content.executable, ..content }));
    }
}

fn delete(rng: &mut Rng, tree: &mut Tree) {
    if let Some(path) = any_path(rng, tree) {
        tree.delete(&path);
    }
}

fn relocate(rng: &mut Rng, tree: &mut Tree) {
    let (Some(from), Some(to)) = (any_path(rng, tree), free_path(rng, tree)) else { return };
    if !to.is_below(&from) {
        tree.rename(&from, &to);
    }
}

fn swap(rng: &mut Rng, tree: &mut Tree) {
    let (Some(one), Some(other)) = (any_path(rng, tree), any_path(rng, tree)) else { return };
    if one.is_at_or_below(&other) || other.is_below(&one) {
        return;
    }
    let aside = TreePath::new(".aside").expect("a name");
    tree.rename(&one, &aside);
    tree.rename(&other, &one);
    tree.rename(&aside, &other);
}

/// Moves an entry over another one.
fn replace(rng: &mut Rng, tree: &mut Tree) {
    let (Some(from), Some(to)) = (any_path(rng, tree), any_path(rng, tree)) else { return };
    if !from.is_at_or_below(&to) && !to.is_below(&from) {
        tree.delete(&to);
        tree.rename(&from, &to);
    }
}

/// A file becomes a folder, or a folder a file; or a file is saved as a new file of the same name.
fn turn(rng: &mut Rng, tree: &mut Tree) {
    let Some(path) = any_path(rng, tree) else { return };
    let was_folder = tree.entries[&path].is_folder();
    tree.delete(&path);
    let kind = if was_folder || rng.below(2) == 0 { leaf(rng) } else { Kind::Folder };
    tree.write(&path, kind);
}

fn leaf(rng: &mut Rng) -> Kind {
    if rng.below(12) == 0 {
        let target = ["a", "b"][rng.below(2) as usize];
        return Kind::Symlink { target: target.into() };
    }
    let number = rng.below(8);
    let bytes = number.to_string();
    let len = number.min(1);
    let hash = if len == 0 { ContentHash::of(b"") } else { ContentHash::of(bytes.as_bytes()) };
    Kind::File(FileContent { len, hash, executable: rng.below(10) == 0 })
}

fn any_path(rng: &mut Rng, tree: &Tree) -> Option<TreePath> {
    let count = tree.entries.len() as u64;
    (count > 0).then_some(())?;
    tree.entries.keys().nth(rng.below(count) as usize).cloned()
}

fn free_path(rng: &mut Rng, tree: &Tree) -> Option<TreePath> {
    let folders: Vec<&TreePath> =
        tree.entries.iter().filter(|(_, entry)| entry.is_folder()).map(|(path, _)| path).collect();
    let folder = rng.below(folders.len() as u64 + 1) as usize;
    let name = ["a", "b", "c", "d", "e", "A"][rng.below(6) as usize];
    let path = TreePath::below(folders.get(folder).copied(), name).ok()?;
    tree.is_free(&path).then_some(path)
}
