//! `swarm demo --team`: three daemons of this process keep a library together, files come to it, and a page shows it. Invariant: all of it is below
//! one folder, on loopback alone, and is removed at the end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::output;
use super::setup::Interrupts;
use swarm_api::Api;
use swarm_core::base::{Category, Shown};
use swarm_daemon::Daemon;
use swarm_daemon_files::{DaemonFolder, Guid, NewMount, NewPeer, NewSubscription};

pub(super) async fn run(base: &Path) -> Result<(), Failure> {
    let mut interrupts = Interrupts::catch()?;
    let folder = Folder::make(base)?;
    let guid: Guid = swarm_daemon::new_guid()
        .and_then(|guid| guid.as_str().parse().ok())
        .ok_or_else(|| Failure::new(Category::Other, "the system gives no random bytes"))?;
    let mut members = Vec::new();
    for (number, name) in NAMES.into_iter().enumerate() {
        members.push(Member::start(&folder.0.join(name), name, number)?);
    }
    introduce(&members)?;
    for (number, member) in members.iter().enumerate() {
        member.keep_library(&guid, number == OWNER)?;
    }
    let link = members[0].api.first_link().unwrap_or_else(|| "https://127.0.0.1/".to_owned());
    output::result(&link)?;
    output::note(format_args!(
        "three daemons keep `{LIBRARY}` together in {}; open the link in a browser (its certificate is the daemon's own: accept it). Ctrl-C ends it all",
        Shown(&folder.0)
    ));
    let stopping = CancellationToken::new();
    let dirs: Vec<PathBuf> = members.iter().map(|member| member.files.clone()).collect();
    let mut daemons = tokio::task::JoinSet::new();
    for Member { daemon, api, .. } in members {
        let (of_daemon, of_api) = (stopping.clone(), stopping.clone());
        daemons.spawn(async move {
            tokio::join!(daemon.run(of_daemon.cancelled()), api.run(of_api.cancelled()));
        });
    }
    tokio::select! {
        () = interrupts.next() => {}
        made = make_files(&dirs) => made.map_err(|error| disk(&folder.0, &error))?,
    }
    stopping.cancel();
    while daemons.join_next().await.is_some() {}
    Ok(())
}

/// One of the daemons.
struct Member {
    daemon: Daemon,
    api: Api,
    dir: PathBuf,
    /// Where its files of the library are.
    files: PathBuf,
    name: &'static str,
}

impl Member {
    fn start(dir: &Path, name: &'static str, number: usize) -> Result<Self, Failure> {
        let files = dir.join(LIBRARY);
        std::fs::create_dir_all(&files).map_err(|error| disk(&files, &error))?;
        let config = dir.join("config.json");
        let text = "{\"port\": 0, \"listen\": \"127.0.0.1\", \"lan\": false}\n";
        std::fs::write(&config, text).map_err(|error| disk(&config, &error))?;
        // The one whose page is shown has another version of a file than the library: somebody has to decide.
        if let Some(last) = [Some("rain cover"), None, Some("night shots")][number] {
            let plan = files.join("Shooting plan.txt");
            let text = format!("Day 1  harbour\nDay 2  studio\nDay 3  {last}\n");
            std::fs::write(&plan, text).map_err(|error| disk(&plan, &error))?;
        }
        let daemon = Daemon::prepare(dir)?;
        let api = Api::prepare(&daemon)?;
        Ok(Self { daemon, api, dir: dir.to_owned(), files, name })
    }

    fn address(&self) -> String {
        format!("{}@127.0.0.1:{}", self.daemon.node_id(), self.daemon.address().port())
    }

    fn keep_library(&self, guid: &Guid, is_own: bool) -> Result<(), Failure> {
        let mut folder = DaemonFolder::open(&self.dir)?;
        let dir = self.files.to_string_lossy().into_owned();
        if is_own {
            folder.add_library(LIBRARY, guid, &[NewMount { dir, libpath: "/".to_owned(), is_sync: true }])?;
            let two = swarm_daemon_files::ApprovalsChange { delete: Some(2), ..Default::default() };
            folder.set_approvals(swarm_daemon_files::Followed::Library(LIBRARY), &two)?;
        } else {
            folder.add_subscription(&NewSubscription {
                guid: guid.clone(),
                local_sync_dir: dir,
                from: Vec::new(),
                include: Vec::new(),
                exclude: Vec::new(),
                version_of: None,
            })?;
        }
        Ok(())
    }
}

/// Each knows the others, and trusts them.
fn introduce(members: &[Member]) -> Result<(), Failure> {
    for member in members {
        let mut folder = DaemonFolder::open(&member.dir)?;
        for other in members.iter().filter(|other| other.name != member.name) {
            let name = Some(other.name.to_owned());
            folder.add_peer(&NewPeer {
                address: other.address(),
                trusted: true,
                name,
                ..NewPeer::default()
            })?;
        }
    }
    Ok(())
}

/// Files come for as long as the demo runs, now here and now there; once, a few are deleted.
async fn make_files(dirs: &[PathBuf]) -> io::Result<()> {
    let mut number = 0_u32;
    loop {
        let dir = &dirs[number as usize % dirs.len()];
        match number % 4 {
            0 => put(&dir.join(format!("Scans/page {:03}.bmp", number + 1)), &picture(number))?,
            1 => put(&dir.join(format!("Notes/day {}.txt", number / 4 + 1)), note(number).as_bytes())?,
            2 => put(&dir.join(format!("Sound/take {}.wav", number / 4 + 1)), &sound(number))?,
            _ => put(&dir.join(format!("Raw/reel {}.bin", number / 4 + 1)), &raw(number))?,
        }
        number += 1;
        if number == DELETED_AT {
            let _ = std::fs::remove_file(dirs[0].join("Scans/page 001.bmp"));
        }
        tokio::time::sleep(if number < BUSY_UNTIL { BUSY_PAUSE } else { PAUSE }).await;
        if number > FILES_MAX {
            std::future::pending::<()>().await;
        }
    }
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, bytes)
}

/// Waves of colour, as a bitmap of 24 bits.
fn picture(number: u32) -> Vec<u8> {
    const WIDTH: u32 = 640;
    const HEIGHT: u32 = 400;
    let mut bytes = b"BM".to_vec();
    let words = [
        54 + WIDTH * HEIGHT * 3,
        0,
        54,
        40,
        WIDTH,
        HEIGHT,
        1 | (24 << 16),
        0,
        WIDTH * HEIGHT * 3,
        2835,
        2835,
        0,
        0,
    ];
    words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let wave = f64::from(x * (number % 5 + 1)) / 90.0 + f64::from(y) / 60.0;
            let shade = |shift: f64| (127.0 + 90.0 * (wave + shift).sin()) as u8;
            bytes.extend_from_slice(&[shade(0.0), shade(f64::from(number) * 0.7), shade(2.1)]);
        }
    }
    bytes
}

/// Three seconds of a tone, as WAV of 16 bits.
fn sound(number: u32) -> Vec<u8> {
    const RATE: u32 = 22_050;
    let count = RATE * 3;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend_from_slice(&(36 + count * 2).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    [RATE, RATE * 2, 2 | (16 << 16)].iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&(count * 2).to_le_bytes());
    let pitch = 220.0 * f64::from(number % 7 + 2) / 2.0;
    for at in 0..count {
        let phase = f64::from(at) / f64::from(RATE) * pitch * std::f64::consts::TAU;
        bytes.extend_from_slice(&((phase.sin() * 6000.0) as i16).to_le_bytes());
    }
    bytes
}

fn note(number: u32) -> String {
    format!(
        "Day {}\n\nThe light was good until four.\nReel {} is the one to keep.\n",
        number / 4 + 1,
        number % 9 + 1
    )
}

/// Bytes that nothing shortens.
fn raw(number: u32) -> Vec<u8> {
    let mut bytes = vec![0; RAW_LEN];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn make(base: &Path) -> Result<Self, Failure> {
        let path = base.join(format!("swarm-demo-team-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| disk(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn disk(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Category::Disk, format_args!("cannot write in `{}`: {error}", Shown(&path)))
}

const NAMES: [&str; 3] = ["anna", "ben", "carla"];
/// Whose library it is: the others follow it.
const OWNER: usize = 2;
const LIBRARY: &str = "Harbour film";
const RAW_LEN: usize = 24 << 20;
/// Files until which they come fast: so that there is something to see soon.
const BUSY_UNTIL: u32 = 24;
const BUSY_PAUSE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_secs(4);
const DELETED_AT: u32 = 20;
/// Then nothing more comes: the disk is not the demo's.
const FILES_MAX: u32 = 200;
