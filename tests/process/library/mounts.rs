//! Folders of a library: those that are never written to, the one that takes what others change, and what is wrong with them.

use std::fs;

use serde_json::json;

use super::{GUID, Team, stats};
use crate::support::{MIB, Tmpfs};

/// `a` has a read-only folder `video` at `/video`, and a sync target; `b` subscribes.
fn with_video() -> Team {
    let team = Team::new("ab");
    team.write("video/one.txt", "one");
    team.write("video/deep/two.txt", "two");
    let mounts = json!([
        {"dir": "../video", "libpath": "/video", "readonly": true},
        {"dir": "lib", "libpath": "/", "sync": true},
    ]);
    team.set('a', "libraries.json", &json!({"Lib 1": {"guid": GUID, "mounts": mounts}}));
    team.subscribe('b', &json!({}));
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    team.until_text("b", "video/one.txt", "one");
    team.until_text("b", "video/deep/two.txt", "two");
    team
}

fn view(team: &Team, letter: char) -> Vec<String> {
    let request = json!({"request": "tree", "library": GUID, "place": null, "start": null, "limit": 1000});
    let reply = team.ask(letter, &request);
    let entries = reply["answer"]["tree"].as_array().unwrap_or_else(|| panic!("{reply}"));
    entries.iter().map(|entry| entry["path"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn a_read_only_folder_is_never_written_to() {
    let team = with_video();
    let before = stats(&team.path("video"));
    team.write("b/lib/video/one.txt", "changed at b");
    team.write("b/lib/video/deep/new.txt", "new");
    fs::remove_file(team.path("b/lib/video/deep/two.txt")).expect("it is there");
    team.until_text("a", "video/one.txt", "changed at b");
    team.until_text("a", "video/deep/new.txt", "new");
    team.until("the deletion is in the view", || {
        !view(&team, 'a').contains(&"video/deep/two.txt".to_owned())
    });
    assert_eq!(stats(&team.path("video")), before);
    // What hides and what is hidden survive a restart.
    team.stop('a');
    team.start('a');
    team.write("b/lib/later.txt", "later");
    team.until_text("a", "later.txt", "later");
    assert_eq!(view(&team, 'a'), ["later.txt", "video", "video/deep", "video/deep/new.txt", "video/one.txt"]);
    assert_eq!(view(&team, 'b'), view(&team, 'a'));
    assert_eq!(team.read("b/lib/video/one.txt"), "changed at b");
    assert!(!team.is_there("b/lib/video/deep/two.txt"));
    assert_eq!(stats(&team.path("video")), before);
    assert_eq!(team.read("video/deep/two.txt"), "two");
}

#[test]
fn what_its_owner_changes_in_a_read_only_folder_goes_to_the_others() {
    let team = with_video();
    team.write("video/one.txt", "changed at a");
    team.write("video/three.txt", "three");
    fs::remove_dir_all(team.path("video/deep")).expect("it is there");
    team.until_text("b", "video/one.txt", "changed at a");
    team.until_text("b", "video/three.txt", "three");
    team.until_gone("b", "video/deep");
}

#[test]
fn a_sync_target_is_made_when_files_arrive_without_one() {
    let team = Team::new("ab");
    team.write("video/one.txt", "one");
    let mounts = json!([{"dir": "../video", "libpath": "/video", "readonly": true}]);
    team.set('a', "libraries.json", &json!({"Lib 1": {"guid": GUID, "mounts": mounts}}));
    team.subscribe('b', &json!({}));
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    team.until_text("b", "video/one.txt", "one");
    team.write("b/lib/new.txt", "new");
    team.until("it is in the folder that was made", || team.is_there("a/libraries/Lib 1/new.txt"));
    let mounts = team.settings('a', "libraries.json")["Lib 1"]["mounts"].clone();
    assert_eq!((mounts.as_array().map(Vec::len), &mounts[1]["sync"]), (Some(2), &json!(true)));
}

#[test]
fn a_missing_folder_stops_its_library_and_deletes_nothing() {
    let team = Team::sharing("ab");
    let other = json!({"guid": "other", "mounts": [{"dir": "other", "libpath": "/", "sync": true}]});
    let mut libraries = team.settings('a', "libraries.json");
    libraries["Other"] = other;
    team.set('a', "libraries.json", &libraries);
    team.write("a/lib/x.txt", "x");
    team.until_text("ab", "x.txt", "x");
    team.until_same("ab");
    let is_stopped = || team.library('a')["state"] == "stopped";
    // Unmounted while it runs.
    fs::rename(team.path("a/lib"), team.path("a/away")).expect("it is there");
    team.until("the library stands still", is_stopped);
    let errors = team.status('a')["errors"].clone();
    assert!(errors[0]["detail"].as_str().is_some_and(|detail| detail.contains("lib")), "{errors}");
    // Its place is an empty folder, as a mount point is.
    fs::create_dir(team.path("a/lib")).expect("a place");
    team.stop('a');
    team.start('a');
    team.until("the library stands still", is_stopped);
    let of_other = || {
        let status = team.status('a');
        status["libraries"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|one| one["name"] == "Other" && one["state"] == "up to date")
    };
    team.until("the other one goes on", of_other);
    assert_eq!(team.read("b/lib/x.txt"), "x");
    fs::remove_dir(team.path("a/lib")).expect("it is empty");
    fs::rename(team.path("a/away"), team.path("a/lib")).expect("it is there");
    team.write("a/lib/y.txt", "y");
    team.until_text("ab", "y.txt", "y");
    team.until_same("ab");
}

#[test]
fn folders_that_cannot_be_together_are_refused_and_named() {
    let team = Team::sharing("a");
    let good = team.settings('a', "libraries.json");
    let check = |mounts: serde_json::Value, expected: &[&str]| {
        team.set('a', "libraries.json", &json!({"Lib 1": {"guid": GUID, "mounts": mounts}}));
        team.until(&format!("it is told: {expected:?}"), || {
            let errors = team.status('a')["file_errors"].to_string();
            expected.iter().all(|part| errors.contains(part))
        });
        assert_eq!(
            team.library('a')["mounts"].as_array().map(Vec::len),
            Some(1),
            "the last good state goes on"
        );
    };
    let two = json!([{"dir": "lib", "libpath": "/", "sync": true}, {"dir": "other", "libpath": "/x", "sync": true}]);
    check(two, &["libraries.json", "two sync targets", "lib", "other"]);
    let nested = json!([{"dir": "lib", "libpath": "/", "sync": true}, {"dir": "lib/in", "libpath": "/x", "readonly": true}]);
    check(nested, &["libraries.json", "lib/in"]);
    team.set('a', "libraries.json", &good);
    team.until("the error is gone", || team.status('a')["file_errors"] == json!([]));
}

#[test]
fn a_full_disk_is_told_and_the_library_goes_on_with_space() {
    let team = Team::new("ab");
    let Some(disk) = Tmpfs::mount(&team.path("small"), "size=24m") else { return };
    team.keep('a', &json!({}));
    let dir = disk.path("lib");
    team.set('b', "subscriptions.json", &json!([{"guid": GUID, "localSyncDir": dir}]));
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    let comes = |name: &str| {
        team.write(&format!("a/lib/{name}"), name);
        team.until("what has space comes", || {
            fs::read_to_string(dir.join(name)).is_ok_and(|text| text == name)
        });
    };
    comes("small.txt");
    team.file("a/lib/big.bin", 40 * MIB);
    team.until("it is told", || team.status('b')["errors"].to_string().contains("no space is left"));
    comes("small too.txt");
    disk.remount("size=128m");
    team.until("all is there", || team.library('b')["percent"] == "100.0");
    crate::support::assert_same_file(&team.path("a/lib/big.bin"), &dir.join("big.bin"));
}

#[test]
fn space_that_is_to_stay_free_stays_free() {
    let team = Team::new("ab");
    let Some(disk) = Tmpfs::mount(&team.path("small"), "size=64m") else { return };
    let mut config = team.settings('b', "config.json");
    config["minFree"] = json!("40MB");
    team.set('b', "config.json", &config);
    team.keep('a', &json!({}));
    let dir = disk.path("lib");
    team.set('b', "subscriptions.json", &json!([{"guid": GUID, "localSyncDir": dir}]));
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    // Whole at once: of a part of it there may be room enough.
    team.file("a/big.bin", 30 * MIB);
    fs::rename(team.path("a/big.bin"), team.path("a/lib/big.bin")).expect("a place");
    team.until("it is told", || team.status('b')["errors"].to_string().contains("free"));
    assert!(!dir.join("big.bin").exists());
    config["minFree"] = json!("1MB");
    team.set('b', "config.json", &config);
    team.until("all is there", || dir.join("big.bin").exists());
}

#[test]
fn what_cannot_be_part_of_a_library_is_named_and_all_else_is_synced() {
    use std::os::unix::ffi::OsStrExt as _;
    let team = Team::sharing("ab");
    team.write("a/lib/before.txt", "before");
    team.until_text("b", "before.txt", "before");
    let odd = team.path("a/lib").join(std::ffi::OsStr::from_bytes(b"odd \xff"));
    fs::write(&odd, "x").expect("a place");
    let link = team.path("a/lib/link");
    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(b"to \xff"), &link).expect("a place");
    team.write("a/lib/after.txt", "after");
    team.until_text("b", "after.txt", "after");
    let named = || {
        let errors = team.status('a')["errors"].as_array().expect("a list").clone();
        let of_disk = errors.into_iter().filter(|error| error["issue"] == "not-synced");
        let mut files: Vec<String> =
            of_disk.map(|error| error["file"].as_str().expect("text").to_owned()).collect();
        files.sort();
        files
    };
    team.until_shown("both are named", named, |files| {
        files.len() == 2 && files[0] == "link" && files[1].starts_with("odd ")
    });
    fs::remove_file(&odd).expect("it is there");
    fs::remove_file(&link).expect("it is there");
    team.until_shown("nothing is named any more", named, Vec::is_empty);
}

#[test]
fn a_link_in_the_place_of_the_folder_for_fetches_leads_nowhere() {
    let team = Team::sharing("ab");
    team.write("a/lib/before.txt", "before");
    team.until_text("b", "before.txt", "before");
    team.stop('b');
    fs::create_dir(team.path("outside")).expect("a place");
    let fetched = team.path("b/lib/.swarm/fetched");
    let _ = fs::remove_dir_all(&fetched);
    std::os::unix::fs::symlink("../../../outside", &fetched).expect("a place");
    team.file("a/lib/film", 2 * MIB);
    team.start('b');
    team.until("the link is named", || {
        let errors = team.status('b')["errors"].to_string();
        errors.contains("is a symbolic link")
    });
    assert_eq!(fs::read_dir(team.path("outside")).expect("it is there").count(), 0);
    fs::remove_file(&fetched).expect("it is there");
    team.until_same("ab");
    assert!(team.is_there("b/lib/film"));
}

#[test]
fn a_disk_that_is_mounted_over_a_folder_stops_its_library_until_it_is_gone() {
    let team = Team::sharing("ab");
    team.write("a/lib/before.txt", "before");
    team.until_text("b", "before.txt", "before");
    team.until_same("ab");
    let Some(disk) = Tmpfs::mount(&team.path("b/lib"), "size=2m") else { return };
    team.until("it stops", || team.library('b')["state"] == "stopped");
    team.write("b/lib/on the other disk.txt", "other");
    team.write("a/lib/meanwhile.txt", "meanwhile");
    drop(disk);
    team.until_text("b", "meanwhile.txt", "meanwhile");
    let same = team.until_same("ab");
    assert_eq!(same.len(), 2, "{same:?}");
}

#[test]
fn a_damaged_memory_of_the_folders_stops_a_library_and_the_way_out_is_told() {
    let team = Team::sharing("a");
    team.write("a/lib/x.txt", "x");
    team.until("it is known", || team.library('a')["files"] == 1);
    team.stop('a');
    let memory = format!("a/.swarm/libraries/{GUID}/mounts.json");
    team.write(&memory, "");
    team.start('a');
    team.until("the way out is told", || team.status('a')["errors"].to_string().contains("remove this file"));
    fs::remove_file(team.path(&memory)).expect("it is there");
    team.until("it goes on", || team.library('a')["state"] == "up to date");
}

/// What a user writes into a folder of their own is never lost, whatever others made of it before.
#[test]
fn an_edit_of_a_read_only_file_that_others_changed_is_a_conflict() {
    let team = with_video();
    team.write("b/lib/video/one.txt", "changed at b");
    team.until_text("a", "video/one.txt", "changed at b");
    team.until("all is told", || team.library('a')["state"] == "up to date");
    team.write("video/one.txt", "edited by the owner");
    team.until("it is a conflict", || team.library('a')["conflicts"] == 1);
    assert_eq!(team.read("b/lib/video/one.txt"), "changed at b");
    let request = json!({"request": "decide", "library": GUID, "path": "video/one.txt", "choice": "keep-local", "all": false});
    let reply = team.ask('a', &request);
    assert!(!reply.to_string().contains("failed"), "{reply}");
    team.until_text("b", "video/one.txt", "edited by the owner");
    assert!(team.keeps("b/lib", "changed at b"));
    // And again, in both directions.
    team.write("b/lib/video/one.txt", "changed at b again");
    team.until_text("a", "video/one.txt", "changed at b again");
    team.stop('a');
    team.write("video/one.txt", "edited while it slept");
    team.start('a');
    team.until("it is a conflict", || team.library('a')["conflicts"] == 1);
}

#[test]
fn an_edit_of_a_read_only_file_that_others_deleted_or_moved_is_not_lost() {
    let team = with_video();
    fs::remove_file(team.path("b/lib/video/one.txt")).expect("it is there");
    fs::rename(team.path("b/lib/video/deep"), team.path("b/lib/elsewhere")).expect("it is there");
    team.until_text("a", "elsewhere/two.txt", "two");
    team.until("both are gone from the view", || {
        view(&team, 'a') == ["elsewhere", "elsewhere/two.txt", "video"]
    });
    team.until("all is told", || team.library('a')["state"] == "up to date");
    team.write("video/one.txt", "edited by the owner");
    team.write("video/deep/two.txt", "edited by the owner, too");
    team.write("video/deep/new.txt", "new in a folder that was moved");
    team.until_text("b", "video/deep/new.txt", "new in a folder that was moved");
    team.until("both edits are conflicts", || team.library('a')["conflicts"] == 2);
    let request =
        json!({"request": "decide", "library": GUID, "path": null, "choice": "keep-local", "all": true});
    let reply = team.ask('a', &request);
    assert!(!reply.to_string().contains("failed"), "{reply}");
    team.until_text("b", "video/one.txt", "edited by the owner");
    team.until_text("b", "video/deep/two.txt", "edited by the owner, too");
    assert_eq!(team.read("b/lib/elsewhere/two.txt"), "two");
    // What is hidden and was not changed stays hidden, after a restart, too.
    fs::remove_file(team.path("b/lib/video/deep/new.txt")).expect("it is there");
    team.until("it is gone from the view", || !view(&team, 'a').contains(&"video/deep/new.txt".to_owned()));
    team.stop('a');
    team.start('a');
    team.write("b/lib/later.txt", "later");
    team.until_text("a", "later.txt", "later");
    assert!(!team.is_there("b/lib/video/deep/new.txt"));
    assert_eq!(team.read("video/deep/new.txt"), "new in a folder that was moved");
}
