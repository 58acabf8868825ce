//! Edits as polls see them. A poll is a character: `.` nothing, `!` changed.

use std::fs::{self, File, FileTimes};

use super::World;
use crate::FileName;

/// The next polls.
fn polls(world: &mut World, count: usize) -> String {
    (0..count).map(|_| if world.folder.changed() { '!' } else { '.' }).collect()
}

#[test]
fn an_edit_shows_at_the_second_poll_until_it_is_read() {
    let mut world = World::new();
    assert_eq!(polls(&mut world, 12), "............");
    world.write(FileName::Peers, "[{\"address\": \"a:1\"}]");
    assert_eq!(polls(&mut world, 3), ".!!");
    let reloaded = world.folder.reload();
    assert_eq!(reloaded.changed.into_iter().collect::<Vec<_>>(), [FileName::Peers]);
    assert_eq!(polls(&mut world, 12), "............");
}

#[test]
fn a_file_that_is_being_written_is_left_alone_for_a_while() {
    let mut world = World::new();
    let mut seen = String::new();
    for len in 0..6 {
        world.write(FileName::Peers, &" ".repeat(len));
        seen += &polls(&mut world, 1);
    }
    assert_eq!(seen, "...!!!");
}

#[test]
fn an_edit_that_keeps_length_and_time_is_seen() {
    let mut world = World::new();
    world.write(FileName::Config, "{\"port\": 8001}");
    world.folder.reload();
    let path = world.folder.path(FileName::Config);
    let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
    let edit = |port: &str| {
        fs::write(&path, format!("{{\"port\": {port}}}")).expect("a file");
        let file = File::options().write(true).open(&path).expect("the file");
        file.set_times(FileTimes::new().set_modified(modified)).expect("a time");
    };
    edit("8002");
    assert_eq!(polls(&mut world, 2), ".!");
    world.folder.reload();
    assert_eq!(world.folder.config().port, 8002);
    // Also when the polls that compare contents are over.
    assert_eq!(polls(&mut world, 12), "............");
    edit("8003");
    assert_eq!(polls(&mut world, 2), ".!");
}

#[test]
fn touching_a_file_or_rewriting_it_by_an_edit_is_no_change() {
    let mut world = World::new();
    let text = world.text(FileName::Users);
    world.write(FileName::Users, &text);
    world.folder.edit_config(|json| json.set("port", 9000.into())).expect("a port");
    assert_eq!(polls(&mut world, 12), "............");
}

#[test]
fn a_file_that_goes_and_comes_back_is_seen_both_times() {
    let mut world = World::new();
    let path = world.folder.path(FileName::Libraries);
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).expect("it was there");
    assert_eq!(polls(&mut world, 2), ".!");
    assert_eq!(world.folder.reload().errors.len(), 1);
    fs::rename(&aside, &path).expect("it was there");
    assert_eq!(polls(&mut world, 2), ".!");
    assert_eq!(world.folder.reload().errors, []);
}

#[test]
fn a_file_that_is_wrong_leaves_all_others_and_itself_as_they_were() {
    let mut world = World::new();
    world.write(FileName::Peers, "[{\"address\": \"a:1\", \"trusted\": true}]");
    world.folder.reload();
    world.write(FileName::Peers, "[{\"address\": \"a:1\", \"trusted\": tru}]");
    world.write(FileName::Config, "{\"port\": 8001}");
    let reloaded = world.folder.reload();
    assert_eq!((reloaded.errors.len(), world.folder.errors().len()), (1, 1));
    assert_eq!(reloaded.changed.into_iter().collect::<Vec<_>>(), [FileName::Config]);
    assert!(world.folder.peers()[0].trusted);
    assert_eq!(world.folder.config().port, 8001);
}
