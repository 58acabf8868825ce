//! `swarm add`: one more content for the running node.

use std::path::Path;
use std::time::Duration;

use super::args::{AddArgs, Global};
use super::control;
use super::failure::{self, Failure};
use super::output::{self, HashView};
use super::setup::Interrupts;
use super::source::Wanted;
use super::steps::{Progress, Steps};
use swarm_core::base::{ByteLen, Category};
use swarm_core::manifest::Ticket;
use swarm_files::{HashProgress, check_folder};
use swarm_host::client::Client;
use swarm_host::jobs::Selection;
use swarm_host::lasting_content_key_in;
use swarm_host::protocol::{Answer, ContentState, Request};

pub(super) async fn run(args: AddArgs, global: &Global) -> Result<(), Failure> {
    let mut interrupts = Interrupts::catch()?;
    let (of_step, global) = (args.node.clone(), global.clone());
    let connect = move |_: &Progress| control::connect(&of_step, &global);
    let mut steps = Steps::new(&mut interrupts, Some(PATIENCE));
    let client = steps.run("connecting to the node", connect).await?;
    let wanted = match args.fetch.clone() {
        None => None,
        Some(what) => {
            let doing = Wanted::reading(&what);
            let read = move |progress: &Progress| Wanted::named(&what, progress);
            Some(steps.run(&doing, read).await?)
        }
    };
    // The node may hash for hours.
    let mut steps = Steps::new(&mut interrupts, None);
    steps.run("waiting for the node", move |_| ask(&args, client, wanted)).await
}

fn ask(args: &AddArgs, mut client: Client, wanted: Option<Wanted>) -> Result<(), Failure> {
    let request = request(args, wanted)?;
    let view = HashView::new("hashing", args.json);
    let show = &mut |hashed_len, total_len| view.show(HashProgress { hashed_len, total_len });
    let answer = control::ask(&mut client, request, show)?;
    drop(view);
    let Answer::Added { content, was_there, remarks } = answer else { return Err(control::odd(answer)) };
    remarks.iter().for_each(output::note);
    if args.json {
        return output::json(&content);
    }
    let verb = match (content.state, was_there) {
        (_, true) => "was there already:",
        (ContentState::Fetching, false) => "fetching",
        (_, false) => "serving",
    };
    let part = match content.bytes {
        0 => String::new(),
        bytes if content.present_bytes < bytes => {
            format!(", {} of {}", ByteLen(content.present_bytes), ByteLen(bytes))
        }
        bytes => format!(", {}", ByteLen(bytes)),
    };
    output::note(format_args!("{verb} {}{part}", content.name));
    output::result(content.ticket.unwrap_or_default())
}

fn request(args: &AddArgs, wanted: Option<Wanted>) -> Result<Request, Failure> {
    if let (Some(wanted), Some(out)) = (wanted, &args.out) {
        return fetch(args, wanted, out);
    }
    args.paths.iter().try_for_each(|path| Failure::unless_there(path))?;
    let paths = args.paths.iter().map(|path| control::absolute(path)).collect::<Result<Vec<_>, _>>()?;
    let Some(manifest) = &args.manifest else {
        return Ok(Request::AddPaths { paths, skip_unportable: args.skip_unportable });
    };
    let manifest = control::absolute(manifest)?;
    match <[_; 1]>::try_from(paths) {
        Ok([path]) => Ok(Request::AddCopy { manifest, path }),
        Err(_) => Err(Failure::new(
            Category::Usage,
            "--manifest takes one PATH: the folder that holds (a part of) the content",
        )),
    }
}

fn fetch(args: &AddArgs, wanted: Wanted, out: &Path) -> Result<Request, Failure> {
    if out == Path::new("-") {
        let message = "-o - is not possible, the node writes files: name a folder";
        return Err(Failure::new(Category::Usage, message));
    }
    if let Some(publisher) = args.publisher {
        wanted.check_publisher(publisher)?;
    }
    if wanted.sources.is_empty() && wanted.coordinators.is_empty() {
        let message =
            "nobody is known to have this content: take a ticket, or a manifest that names a source";
        return Err(Failure::new(Category::NoSource, message));
    }
    // It answers before it has the manifest and looks at the folder: what no fetch could fill is refused here.
    check_folder(out)?;
    Selection::new(&args.include).map_err(failure::of_selection)?;
    // The node reads it anew; a file that gives no key is refused before anything begins.
    args.content_key.as_deref().map(lasting_content_key_in).transpose()?;
    let content_key = args.content_key.as_deref().map(control::absolute).transpose()?;
    // A key in the ticket is not for the node: it opens only what it is told to open.
    let Wanted { content, sources, coordinators, signatures, .. } = wanted;
    let ticket = Ticket { sources, coordinators, signatures, ..Ticket::new(content) };
    let (ticket, out, include) = (ticket.to_string(), control::absolute(out)?, args.include.clone());
    Ok(Request::AddFetch { ticket, out, include, content_key })
}

/// How long the node, or the server of a manifest, may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
