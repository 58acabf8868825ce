//! `swarm manifest`: create, show, verify.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::args::{CreateArgs, Global, ManifestCommand};
use super::failure::Failure;
use super::output::{self, HashView};
use super::seal;
use super::setup;
use super::source::manifest_file;
use super::ways;
use swarm_core::base::limits::{CHUNK_LEN_LOG2_MAX, CHUNK_LEN_LOG2_MIN, COMMENT_LEN_MAX, SIGNATURES_MAX};
use swarm_core::base::{Bitfield, ByteLen, Category, Shown};
use swarm_core::manifest::{File, Manifest, ManifestFile, Source};
use swarm_files::{FileReport, FileState, Index, IndexCache, IndexOptions, Scan, index_without, scan};
use swarm_link::Identity;
use swarm_node::clock::wall_clock;

pub(super) fn run(command: ManifestCommand, global: &Global) -> Result<(), Failure> {
    match command {
        ManifestCommand::Create(args) => {
            setup::check_hashing_threads()?;
            create(&args, global)
        }
        ManifestCommand::Show { manifest, json } => show(&manifest, json),
        ManifestCommand::Sign { manifest, json } => add_signature(&manifest, json, global),
        ManifestCommand::Verify { manifest, dir, content_key, json } => {
            setup::check_hashing_threads()?;
            verify(&manifest, &dir, content_key.as_deref(), json)
        }
    }
}

fn create(args: &CreateArgs, global: &Global) -> Result<(), Failure> {
    if args.comment.len() > COMMENT_LEN_MAX {
        return Err(Failure::new(
            Category::Usage,
            format_args!("the comment is longer than {COMMENT_LEN_MAX} bytes"),
        ));
    }
    let is_stdout = args.out.as_deref() == Some(Path::new("-"));
    match &args.out {
        Some(_) if is_stdout => check_stdout(args.json)?,
        Some(out) => refuse_to_replace(out)?,
        None => {}
    }
    let chunk_len_log2 = args.chunk_len.map(chunk_len_log2).transpose()?;
    let options = IndexOptions { chunk_len_log2, sha256: args.sha256, skip_unportable: args.skip_unportable };
    let outs = match &args.out {
        Some(out) => vec![out.clone()],
        None => default_outs(&args.paths),
    };
    let made = index_paths((&args.paths, &outs), options, global, args.json)?;
    let manifest = match &args.seal {
        Some(path) => seal::sealed(&made, &seal::key_or_new(path)?, args.json)?,
        None => made.manifest,
    };
    let mut file = ManifestFile { comment: args.comment.clone(), ..ManifestFile::new(manifest.clone()) };
    if args.sign {
        sign(&mut file, &setup::identity(global, None)?);
    }
    let (files, len) =
        (output::count(manifest.files().len(), "file"), ByteLen(manifest.geometry().content_len()));
    if is_stdout {
        output::bytes(&file.encode())
            .map_err(|error| Failure::new(Category::Disk, format_args!("cannot write to stdout: {error}")))?;
        output::note(format_args!("{}: {files}, {len}, content {}", manifest.name(), manifest.id()));
        return Ok(());
    }
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.swarm", manifest.name())));
    write_manifest(&out, &file)?;
    if args.json {
        output::json(&describe(&file))?;
    } else {
        output::result(manifest.id())?;
        output::note(format_args!("{}: {files}, {len}, written to {}", manifest.name(), Shown(&out)));
    }
    Ok(())
}

/// Whether a manifest may go to stdout.
fn check_stdout(is_json: bool) -> Result<(), Failure> {
    let message = match (is_json, std::io::stdout().is_terminal()) {
        (true, _) => "--json and -o - both want stdout: choose one",
        (false, true) => "a manifest is not for a terminal: name a file, or send stdout to one",
        (false, false) => return Ok(()),
    };
    Err(Failure::new(Category::Usage, message))
}

/// Signs with a node's key; what it signed before stays as it is.
pub(super) fn sign(file: &mut ManifestFile, identity: &Identity) {
    if !file.signatures.iter().any(|signed| signed.key() == identity.node_id()) {
        file.signatures.push(identity.signing_key().sign(file.manifest.id()));
    }
}

fn add_signature(path: &Path, is_json: bool, global: &Global) -> Result<(), Failure> {
    if path == Path::new("-") {
        return Err(Failure::new(
            Category::Usage,
            "a signature is written into the manifest's file: name that",
        ));
    }
    let mut file = manifest_file(path)?;
    if file.signatures.len() >= SIGNATURES_MAX {
        let message = format!("`{}` has {SIGNATURES_MAX} signatures, and no more fit", Shown(&path));
        return Err(Failure::new(Category::Usage, message));
    }
    let identity = setup::identity(global, None)?;
    sign(&mut file, &identity);
    replace_manifest(path, &file)?;
    if is_json {
        output::json(&describe(&file))?;
    } else {
        output::note(format_args!("signed {} as:", Shown(&path)));
        output::result(identity.node_id())?;
    }
    Ok(())
}

/// Where the manifest of each of these paths goes by default.
fn default_outs(paths: &[PathBuf]) -> Vec<PathBuf> {
    let name = |path: &PathBuf| path.canonicalize().ok()?.file_name()?.to_str().map(str::to_owned);
    paths.iter().filter_map(name).map(|name| PathBuf::from(format!("{name}.swarm"))).collect()
}

/// Hashes paths, with progress and the cache, and tells what was left out. Manifests that are about to be written are no part
/// of the content: with them it would be another one at each run.
pub(super) fn index_paths(
    (paths, outs): (&[PathBuf], &[PathBuf]),
    options: IndexOptions,
    global: &Global,
    is_silent: bool,
) -> Result<Index, Failure> {
    let view = HashView::new("hashing", is_silent);
    let cache = IndexCache::new(setup::cache_dir(global)?, wall_clock());
    let left_out: Vec<PathBuf> = outs.iter().flat_map(|out| [out.clone(), temporary(out)]).collect();
    let made = index_without(paths, &left_out, &options, Some(&cache), &|progress| view.show(progress))?;
    drop(view);
    for skipped in &made.skipped {
        let way = ways::skipped(&skipped.why).unwrap_or_default();
        output::note(format_args!("skipped `{}`: {}{way}", Shown(&skipped.path), skipped.why));
    }
    if !made.windows_names.is_empty() {
        output::note(format_args!("warning: {}", made.windows_names));
    }
    Ok(made)
}

/// A manifest replaces a manifest and nothing else.
fn refuse_to_replace(path: &Path) -> Result<(), Failure> {
    if !path.exists() || (path.is_file() && manifest_file(path).is_ok()) {
        return Ok(());
    }
    let message = format!("`{}` exists and is not a manifest: choose another name", Shown(&path));
    Err(Failure::new(Category::TargetDiffers, message))
}

/// Writes a manifest so that no reader ever sees a half of it.
pub(super) fn write_manifest(path: &Path, file: &ManifestFile) -> Result<(), Failure> {
    refuse_to_replace(path)?;
    replace_manifest(path, file)
}

fn replace_manifest(path: &Path, file: &ManifestFile) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Category::Disk, format_args!("cannot write `{}`: {error}", Shown(&path)))
    };
    let temporary = temporary(path);
    std::fs::write(&temporary, file.encode()).map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(failed)
}

/// Its name while it is written.
fn temporary(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".part");
    temporary.into()
}

fn chunk_len_log2(ByteLen(len): ByteLen) -> Result<u8, Failure> {
    let log2 = len.trailing_zeros() as u8;
    let is_fit = len.is_power_of_two() && (CHUNK_LEN_LOG2_MIN..=CHUNK_LEN_LOG2_MAX).contains(&log2);
    let message = "the chunk length must be a power of two from 16KiB to 16MiB";
    if is_fit { Ok(log2) } else { Err(Failure::new(Category::Usage, message)) }
}

fn show(path: &Path, is_json: bool) -> Result<(), Failure> {
    let file = manifest_file(path)?;
    if is_json {
        return output::json(&describe(&file));
    }
    let (manifest, geometry) = (&file.manifest, file.manifest.geometry());
    output::result(format_args!("content   {}", manifest.id()))?;
    output::result(format_args!("name      {}", manifest.name()))?;
    let (files, len) = (geometry.file_count(), geometry.content_len());
    output::result(format_args!(
        "files     {files}, {} ({}), {}",
        ByteLen(len),
        output::count(len as usize, "byte"),
        output::count(geometry.chunk_count() as usize, "chunk")
    ))?;
    if !file.comment.is_empty() {
        output::result(format_args!("comment   {}", file.comment))?;
    }
    for source in &file.sources {
        output::result(format_args!("source    {}", source_line(source)))?;
    }
    for signed in &file.signatures {
        output::result(format_args!("signed by {}", signed.key()))?;
    }
    for entry in manifest.files() {
        let executable = if entry.executable { "x" } else { "-" };
        output::result(format_args!(
            "{executable} {:>15} {} {}",
            entry.len,
            HEXLOWER.encode(&entry.blake3),
            entry.path
        ))?;
    }
    for directory in manifest.empty_directories() {
        output::result(format_args!("d {:>15} {:64} {directory}/", "", ""))?;
    }
    Ok(())
}

fn source_line(source: &Source) -> String {
    let addresses: Vec<&str> = source.addresses.iter().map(swarm_core::manifest::Address::as_str).collect();
    format!("{}@{}", source.node, addresses.join(","))
}

fn describe(file: &ManifestFile) -> Value {
    let manifest = &file.manifest;
    let sources = file.sources.iter().map(|source| {
        let addresses: Vec<&str> =
            source.addresses.iter().map(swarm_core::manifest::Address::as_str).collect();
        json!({ "node": source.node.to_string(), "addresses": addresses })
    });
    json!({
        "content": manifest.id().to_string(),
        "name": manifest.name(),
        "bytes": manifest.geometry().content_len(),
        "chunks": manifest.geometry().chunk_count(),
        "comment": file.comment,
        "sources": sources.collect::<Vec<_>>(),
        "signed_by": file.signatures.iter().map(|signed| signed.key().to_string()).collect::<Vec<_>>(),
        "files": manifest.files().iter().map(describe_file).collect::<Vec<_>>(),
        "empty_directories": manifest.empty_directories().iter().map(|path| path.as_str()).collect::<Vec<_>>(),
    })
}

fn describe_file(file: &File) -> Value {
    json!({
        "path": file.path.as_str(),
        "bytes": file.len,
        "executable": file.executable,
        "blake3": HEXLOWER.encode(&file.blake3),
        "sha256": file.sha256.map(|hash| HEXLOWER.encode(&hash)),
        "chunk_bytes": (file.chunk_len_log2 > 0).then(|| 1u64 << file.chunk_len_log2),
    })
}

fn verify(path: &Path, dir: &Path, content_key: Option<&Path>, is_json: bool) -> Result<(), Failure> {
    let file = manifest_file(path)?;
    let manifest = &match content_key {
        Some(key) => seal::opened(&file.manifest, &seal::key_in(key)?)?,
        None => file.manifest,
    };
    Failure::unless_there(dir)?;
    let view = HashView::new("verifying", is_json);
    let found = scan(manifest, dir, &|progress| view.show(progress))?;
    drop(view);
    let geometry = manifest.geometry();
    let bad_chunks = geometry.chunk_count() - found.good.count();
    if is_json {
        let files: Vec<Value> =
            found.files.iter().map(|report| report_json(report, manifest, &found.good)).collect();
        output::json(&json!({
            "content": manifest.id().to_string(),
            "complete": found.is_whole(),
            "chunks": geometry.chunk_count(),
            "bad_chunks": bad_chunks,
            "files": files,
            "missing_directories": found.missing_directories.iter().map(|path| path.as_str()).collect::<Vec<_>>(),
        }))?;
    } else {
        print_report(&found, manifest)?;
    }
    if found.is_whole() {
        return Ok(());
    }
    if let Some(report) = found.files.iter().find(|report| matches!(report.state, FileState::Unreadable(_))) {
        let message =
            format!("`{}` cannot be read: get the permission and verify again", Shown(&report.path));
        return Err(Failure::new(Category::Disk, message));
    }
    let bad_files = found.files.iter().filter(|report| report.state != FileState::Good).count();
    let (files, chunks) = (output::count(bad_files, "file"), output::count(bad_chunks as usize, "chunk"));
    let message =
        format!("{files} and {chunks} are bad or missing: fetch again with --overwrite to mend them");
    Err(Failure::new(Category::Integrity, message))
}

fn report_json(report: &FileReport, manifest: &Manifest, good: &Bitfield) -> Value {
    json!({
        "path": manifest.file(report.file).path.as_str(),
        "state": state_name(&report.state),
        "chunks": report.chunks,
        "bad_chunks": bad_chunks(report, manifest, good),
    })
}

fn print_report(found: &Scan, manifest: &Manifest) -> Result<(), Failure> {
    for report in found.files.iter().filter(|report| report.state != FileState::Good) {
        let detail = match &report.state {
            FileState::OtherLen(len) => {
                let len = output::count(*len as usize, "byte");
                format!(" ({len} instead of {})", manifest.file(report.file).len)
            }
            FileState::Unreadable(error) => format!(" ({error})"),
            FileState::Good | FileState::Damaged | FileState::Missing => String::new(),
        };
        let bad = runs(&bad_chunks(report, manifest, &found.good));
        let path = &manifest.file(report.file).path;
        output::result(format_args!(
            "{}: {path}{detail}: bad chunks {bad} of {}",
            state_name(&report.state),
            report.chunks
        ))?;
    }
    for directory in &found.missing_directories {
        output::result(format_args!("missing: {directory}/"))?;
    }
    if found.is_whole() {
        match found.files.len() {
            1 => output::result("the file is good")?,
            count => output::result(format_args!("all {count} files are good"))?,
        }
    }
    Ok(())
}

fn state_name(state: &FileState) -> &'static str {
    match state {
        FileState::Good => "good",
        FileState::Damaged => "damaged",
        FileState::OtherLen(_) => "other length",
        FileState::Missing => "missing",
        FileState::Unreadable(_) => "unreadable",
    }
}

/// A file's bad chunks, counted from its own first.
fn bad_chunks(report: &FileReport, manifest: &Manifest, good: &Bitfield) -> Vec<u32> {
    let range = manifest.geometry().file_chunk_range(report.file);
    let first = range.start;
    range.filter(|chunk| !good.contains(*chunk)).map(|chunk| chunk - first).collect()
}

/// `0-3, 7`; `none` if there is none.
fn runs(chunks: &[u32]) -> String {
    let Some(last) = chunks.last() else { return "none".to_owned() };
    let mut set = Bitfield::new(last + 1);
    for chunk in chunks {
        set.insert(*chunk);
    }
    let shown = set.runs().map(|(first, count)| match count {
        1 => first.to_string(),
        _ => format!("{first}-{}", first + count - 1),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_chunks_are_shown_as_runs() {
        assert_eq!(runs(&[]), "none");
        assert_eq!(runs(&[0, 1, 2, 3, 7, 9, 10]), "0-3, 7, 9-10");
    }
}
