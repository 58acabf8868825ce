//! `swarm add`: one more content for the running node.

use std::path::Path;

use super::args::{AddArgs, Global};
use super::control;
use super::failure::{Exit, Failure};
use super::output::{self, HashView};
use super::source::Wanted;
use crate::base::ByteLen;
use crate::manifest::Ticket;
use crate::service::protocol::{Answer, ContentState, Request};
use crate::storage::{HashProgress, check_folder};

pub(super) fn run(args: &AddArgs, global: &Global) -> Result<(), Failure> {
    add(args, global).map_err(|failure| output::told(failure, args.json))
}

fn add(args: &AddArgs, global: &Global) -> Result<(), Failure> {
    let mut client = control::connect(&args.node, global)?;
    let request = request(args)?;
    let view = HashView::new("hashing", args.json);
    let show = &mut |hashed_len, total_len| view.show(HashProgress { hashed_len, total_len });
    let answer = control::ask(&mut client, request, show)?;
    drop(view);
    let Answer::Added { content, was_there } = answer else { return Err(control::odd(answer)) };
    if args.json {
        output::result(output::line_of(&content));
        return Ok(());
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
    output::note(format_args!("{verb} {}{part}", content.name.escape_debug()));
    output::result(content.ticket.unwrap_or_default());
    Ok(())
}

fn request(args: &AddArgs) -> Result<Request, Failure> {
    if let (Some(what), Some(out)) = (&args.fetch, &args.out) {
        return fetch(what, out);
    }
    args.paths.iter().try_for_each(|path| Failure::unless_there(path))?;
    let paths = args.paths.iter().map(|path| control::absolute(path)).collect::<Result<Vec<_>, _>>()?;
    let Some(manifest) = &args.manifest else { return Ok(Request::AddPaths { paths }) };
    let manifest = control::absolute(manifest)?;
    match <[_; 1]>::try_from(paths) {
        Ok([path]) => Ok(Request::AddCopy { manifest, path }),
        Err(_) => Err(Failure::new(
            Exit::Usage,
            "--manifest takes one PATH: the folder that holds (a part of) the content",
        )),
    }
}

fn fetch(what: &str, out: &Path) -> Result<Request, Failure> {
    let wanted = Wanted::named(what)?;
    if wanted.sources.is_empty() && wanted.coordinators.is_empty() {
        let message =
            "nobody is known to have this content: take a ticket, or a manifest that names a source";
        return Err(Failure::new(Exit::NoSource, message));
    }
    // It answers before it has the manifest and looks at the folder: what no fetch could fill is refused here.
    check_folder(out)?;
    // The node keeps what it fetches as it comes: a key would be of no use to it.
    let Wanted { content, sources, coordinators, signatures, .. } = wanted;
    let ticket = Ticket { sources, coordinators, signatures, ..Ticket::new(content) };
    Ok(Request::AddFetch { ticket: ticket.to_string(), out: control::absolute(out)? })
}
