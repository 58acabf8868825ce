//! Binaries of `swarm`: the one under test, and one of long ago that it must get on with.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// One binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    path: PathBuf,
}

impl Build {
    /// The one that cargo built for this test. Cargo names it to tests of the package that has the binary, and while they run: a
    /// library cannot know it when it is compiled.
    pub fn under_test() -> Self {
        let path = std::env::var_os("CARGO_BIN_EXE_swarm");
        Self { path: path.expect("cargo runs this test, which is one of the package `swarm`").into() }
    }

    /// `swarm`, with nothing of this machine's in its environment.
    pub(crate) fn command(&self, args: &[OsString]) -> Command {
        let mut command = Command::new(&self.path);
        // Tests that run at the same time are not to find each other.
        command.env_clear().env("SWARM_NO_LAN", "1").args(args);
        command
    }
}

/// The build of `OLD_COMMIT`: the binary that `SWARM_OLD_BINARY` names, or, for `SWARM_LONG_TESTS`, built from the history.
/// `None`, and a line on stderr that says so, where neither can be had; with `SWARM_COMPAT_TESTS=required` that is a failure.
pub fn old_build() -> Option<Build> {
    static FOUND: OnceLock<Result<Build, String>> = OnceLock::new();
    match FOUND.get_or_init(find_old) {
        Ok(build) => Some(build.clone()),
        Err(why) => {
            let required = std::env::var_os("SWARM_COMPAT_TESTS").is_some_and(|value| value == "required");
            assert!(!required, "SWARM_COMPAT_TESTS=required, but {why}");
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Not by eprintln, which shows nothing of tests that pass.
            let _ = writeln!(std::io::stderr(), "NOT RUN: compat {test}: {why}");
            None
        }
    }
}

fn find_old() -> Result<Build, String> {
    if let Some(path) = std::env::var_os("SWARM_OLD_BINARY") {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(Build { path })
        } else {
            Err(format!("{} is not a file", path.to_string_lossy()))
        };
    }
    let is_set = |name| std::env::var_os(name).is_some();
    if !is_set("SWARM_LONG_TESTS") && !is_set("SWARM_COMPAT_TESTS") {
        return Err("an old binary takes minutes to build; SWARM_LONG_TESTS=1 does it".to_owned());
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let commit = format!("{OLD_COMMIT}^{{commit}}");
    succeeds(Command::new("git").current_dir(&repository).args(["cat-file", "-e", &commit]))
        .map_err(|why| format!("the history has no {OLD_COMMIT} (a shallow clone?): {why}"))?;
    // Beside the profile's folder, so that `cargo clean` takes it away, too.
    let under_test = Build::under_test().path;
    let folder = under_test.ancestors().nth(2).expect("a binary lies in target/PROFILE").join("compat");
    let (source, target) = (folder.join("source"), folder.join("target"));
    unpack(&repository, &source)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(&source).env("CARGO_TARGET_DIR", &target).args(["build", "--locked", "--bin", "swarm"]);
    succeeds(&mut build)?;
    Ok(Build { path: target.join("debug/swarm") })
}

/// The files of the old commit, unless they are there. By way of a pipe: a work tree would leave a trace in the repository.
fn unpack(repository: &Path, source: &Path) -> Result<(), String> {
    if source.join("Cargo.toml").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(source).map_err(|error| format!("{}: {error}", source.to_string_lossy()))?;
    let mut archive = Command::new("git");
    archive.current_dir(repository).args(["archive", OLD_COMMIT]).stdout(Stdio::piped());
    let mut archive = archive.spawn().map_err(|error| format!("git: {error}"))?;
    let files = archive.stdout.take().expect("stdout is piped");
    let unpacked = succeeds(Command::new("tar").args(["-x", "-C"]).arg(source).stdin(files));
    let status = archive.wait().map_err(|error| format!("git: {error}"))?;
    unpacked.and_then(|()| if status.success() { Ok(()) } else { Err(format!("git archive: {status}")) })
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let output = command.stderr(Stdio::piped()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Before the workspace: the last one of a single package.
const OLD_COMMIT: &str = "4f13e6c";
