//! Builds `crates/web` for the browser: cargo makes the .wasm, wasm-bindgen the JavaScript beside it. What a visitor downloads stays
//! within [`GZIP_LEN_MAX`]. Does not shrink with wasm-opt, which is no crate.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_bindgen_cli_support::Bindgen;

const TARGET: &str = "wasm32-unknown-unknown";

/// The profile in the Cargo.toml of the workspace, and so the folder of its artifacts.
const PROFILE: &str = "wasm";

/// What a visitor downloads before the page can do anything: it is to grow no further. Two fifths of it are ordered maps, once for each type
/// of key and value; 120 kB is what it should come to.
const GZIP_LEN_MAX: usize = 420_000;

/// Where the result goes: packages and the build of the server's page look for it there.
const OUT: &str = "packages/web/wasm";

/// The files that a page loads; those that end in .d.ts are for editors.
const LOADED: [&str; 2] = ["swarm_web_bg.wasm", "swarm_web.js"];

/// Variables that would replace the flags of .cargo/config.toml: they are meant for native builds, as `-C target-cpu=native`.
const FLAGS_OF_CALLER: [&str; 4] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
];

/// Builds into this folder, by default [`OUT`], and returns lines on what came out.
pub(crate) fn build(out: Option<PathBuf>) -> anyhow::Result<String> {
    require_target()?;
    let target_folder = target_folder()?;
    compile()?;
    let wasm = target_folder.join(TARGET).join(PROFILE).join("swarm_web.wasm");
    let out = out.unwrap_or_else(|| workspace().join(OUT));
    bind(&wasm, &out)?;
    let files =
        LOADED.iter().map(|name| Download::read(out.join(name))).collect::<anyhow::Result<Vec<_>>>()?;
    within_budget(&files)
}

/// Checks for the standard library of the target; rustc would say so, at length, for the first crate it compiles.
fn require_target() -> anyhow::Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = told(Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]))?;
    ensure!(
        Path::new(libraries.trim_end()).is_dir(),
        "the target {TARGET} is missing: run `rustup target add {TARGET}`"
    );
    Ok(())
}

/// The target folder of the workspace, wherever variables and settings of the caller put it.
fn target_folder() -> anyhow::Result<PathBuf> {
    let metadata = told(cargo().args(["metadata", "--locked", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    Ok(metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?.into())
}

fn compile() -> anyhow::Result<()> {
    let args = ["build", "--locked", "-p", "swarm-web", "--lib", "--profile", PROFILE, "--target", TARGET];
    let status = cargo().args(args).status().context("cargo does not start")?;
    ensure!(status.success(), "swarm-web does not build for {TARGET}: see above");
    Ok(())
}

/// Writes the JavaScript, the .wasm that it loads, and their .d.ts.
fn bind(wasm: &Path, out: &Path) -> anyhow::Result<()> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).typescript(true).remove_name_section(true).remove_producers_section(true);
    bindgen
        .web(true)?
        .omit_default_module_path(false)
        .generate(out)
        .with_context(|| format!("no result in {}", shown(out)))
}

/// Lines on what a visitor downloads, or an error if it is too much.
fn within_budget(files: &[Download]) -> anyhow::Result<String> {
    let lines: String = files.iter().map(Download::line).collect();
    let gzip_len: usize = files.iter().map(|file| file.gzip_len).sum();
    let sum =
        format!("{} gzip of {} that a visitor may download", kilobytes(gzip_len), kilobytes(GZIP_LEN_MAX));
    ensure!(
        gzip_len <= GZIP_LEN_MAX,
        "{sum}: leave something out, or raise GZIP_LEN_MAX in xtask/src/web.rs\n{lines}"
    );
    Ok(format!("{lines}{sum}\n"))
}

/// One file of the result, as a visitor downloads it.
struct Download {
    path: PathBuf,
    raw_len: usize,
    gzip_len: usize,
}

impl Download {
    fn read(path: PathBuf) -> anyhow::Result<Self> {
        let bytes = fs::read(&path).with_context(|| format!("{} cannot be read", shown(&path)))?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&bytes).context("gzip")?;
        Ok(Self { path, raw_len: bytes.len(), gzip_len: gzip.finish().context("gzip")?.len() })
    }

    fn line(&self) -> String {
        format!("{}: {}, {} gzip\n", shown(&self.path), kilobytes(self.raw_len), kilobytes(self.gzip_len))
    }
}

fn kilobytes(len: usize) -> String {
    format!("{:.1} kB", len as f64 / 1000.0)
}

/// A path for the terminal, escaped: swarm's own `Shown` is in a crate of the product.
fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// The cargo that runs this, in the folder of the workspace, with the flags of .cargo/config.toml there.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    for name in FLAGS_OF_CALLER {
        cargo.env_remove(name);
    }
    cargo
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ is in the workspace")
}

/// What a command writes to stdout; what it writes to stderr is for the user.
fn told(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("{name} does not start"))?;
    ensure!(output.status.success(), "{name} failed: see above");
    String::from_utf8(output.stdout).with_context(|| format!("{name} writes no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The versions of a package in Cargo.lock.
    fn locked(package: &str) -> Vec<String> {
        let lock = fs::read_to_string(workspace().join("Cargo.lock")).expect("Cargo.lock can be read");
        let head = format!("name = \"{package}\"\nversion = \"");
        let versions = lock.split("[[package]]\n").filter_map(|entry| entry.strip_prefix(&head));
        versions.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
    }

    /// The format between them is private to a version; the error of another one comes after minutes of building.
    #[test]
    fn wasm_bindgen_and_what_reads_its_output_are_of_one_version() {
        let versions = locked("wasm-bindgen");
        assert_eq!(versions.len(), 1, "{versions:?}");
        assert_eq!(versions, locked("wasm-bindgen-cli-support"));
    }

    #[test]
    fn a_download_over_the_budget_is_an_error_that_says_what_to_do() {
        let download = |gzip_len| Download { path: "a.wasm".into(), raw_len: 300_000, gzip_len };
        let told = within_budget(&[download(20_000), download(GZIP_LEN_MAX - 20_000)]).expect("it fits");
        let max = kilobytes(GZIP_LEN_MAX);
        assert!(told.ends_with(&format!("{max} gzip of {max} that a visitor may download\n")), "{told}");
        let too_much = within_budget(&[download(20_100), download(GZIP_LEN_MAX - 20_000)]);
        let error = too_much.expect_err("too much").to_string();
        let start = format!("{} gzip of {max}", kilobytes(GZIP_LEN_MAX + 100));
        assert!(error.starts_with(&start) && error.contains("raise GZIP_LEN_MAX"), "{error}");
    }
}
