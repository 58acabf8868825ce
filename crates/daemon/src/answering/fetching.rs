//! A ticket or a manifest is to be fetched into a library: read and looked at, and handed to the contents. Invariant: what can be known at once to be wrong
//! is told at once, and nothing is remembered of it. Absent here: the fetch itself (`contents/tickets`).

use std::sync::Arc;

use swarm_core::base::Category;
use swarm_core::manifest::{Manifest, SigningKey};
use swarm_library::LibraryKey;
use tokio::sync::oneshot;

use super::find;
use crate::asking::stopping;
use crate::clock;
use crate::contents::{Chosen, Given, Input, NewTicket, OpeningFault, Part, Record, TicketFault, check_free};
use crate::daemon::Desk;
use crate::daemon::libraries::Running;
use crate::library::WrittenPart;
use crate::limits::{GIVEN_FILES_LISTED_MAX, TICKET_CHOSEN_MAX};
use crate::protocol::Reply;
use crate::transfers::{FetchOrder, FetchRefusal, FetchView, GivenFile, id_of};

/// Where it goes.
struct Place {
    library: LibraryKey,
    guid: String,
    written: WrittenPart,
}

/// What was looked at.
struct Looked {
    given: Given,
    record: Record,
    view: FetchView,
}

type Answer = Result<FetchView, FetchRefusal>;

/// Answers in a task of its own.
pub(super) fn answer(desk: &Desk, order: FetchOrder, reply: oneshot::Sender<Answer>) {
    let place = place_of(desk, &order.library);
    let (contents, me) = (desk.contents().clone(), desk.endpoint.signing_key());
    desk.tasks().spawn(async move {
        let answer = match place {
            Ok(place) => begun(place, order, me, &contents).await,
            Err(reply) => Err(FetchRefusal::Failed(reply)),
        };
        // Who asked may be gone.
        let _ = reply.send(answer);
    });
}

fn place_of(desk: &Desk, which: &str) -> Result<Place, Reply> {
    let library = find(desk, which)?;
    match desk.libraries.get(&library) {
        Some(Running::Works { handle, settings, .. }) => {
            let (guid, written) = (settings.guid.to_string(), handle.written.clone());
            Ok(Place { library, guid, written })
        }
        Some(Running::Stands { why, .. }) => Err(Reply::failed(Category::Held, why.to_string())),
        None => Err(stopping()),
    }
}

async fn begun(
    place: Place,
    order: FetchOrder,
    me: SigningKey,
    contents: &tokio::sync::mpsc::Sender<Input>,
) -> Answer {
    let order = Arc::new(order);
    let (asked, library) = (Arc::clone(&order), place.library);
    let looked =
        tokio::task::spawn_blocking(move || look(&place, &asked, &me).map(|looked| (looked, place.guid)));
    let (Looked { given, record, view }, guid) = looked.await.unwrap_or_else(|_| {
        Err(FetchRefusal::of(Category::Other, "reading a ticket failed: this is a bug, please report it"))
    })?;
    if order.is_rehearsal {
        return Ok(view);
    }
    let (reply, answered) = oneshot::channel();
    let content = given.content;
    let new = NewTicket { content, library, given: order.given.clone(), record, reply };
    let _ = contents.send(Input::Ticket(Box::new(new))).await;
    match answered.await {
        Ok(Ok(())) => Ok(FetchView { id: Some(id_of(&guid, &Part::Ticket(content))), ..view }),
        Ok(Err(fault @ TicketFault::Disk(_))) => Err(FetchRefusal::of(Category::Disk, fault.to_string())),
        Ok(Err(fault)) => Err(FetchRefusal::of(Category::Held, fault.to_string())),
        Err(_) => Err(FetchRefusal::Failed(stopping())),
    }
}

/// What it is, and whether it may go there.
fn look(place: &Place, order: &FetchOrder, me: &SigningKey) -> Result<Looked, FetchRefusal> {
    let bad = |error: &dyn std::fmt::Display| FetchRefusal::of(Category::Usage, error.to_string());
    let given = Given::read(&order.given, me).map_err(|fault| bad(&fault))?;
    if order.files.len() > TICKET_CHOSEN_MAX {
        return Err(bad(&format_args!(
            "at most {TICKET_CHOSEN_MAX} files are chosen by name: choose folders"
        )));
    }
    let dir = place.written.dir().map_err(OpeningFault::Place).map_err(refused)?;
    let chosen = given.manifest.as_ref().map(|manifest| Chosen::of(manifest, &order.files));
    let chosen = chosen.transpose().map_err(refused)?;
    if let Some(chosen) = &chosen {
        chosen.check_places(&place.written, order.folder.as_ref()).map_err(refused)?;
        check_free(dir, chosen.len, place.written.min_free()).map_err(|_| FetchRefusal::NoRoom)?;
    }
    let view = view_of(&given, chosen.as_ref());
    let record = Record::new(place.library, order.folder.as_ref(), order.files.clone(), clock::now_ms());
    Ok(Looked { record: record.knowing(chosen.as_ref(), given.manifest.as_ref()), given, view })
}

fn view_of(given: &Given, chosen: Option<&Chosen>) -> FetchView {
    let known = given.manifest.as_ref().zip(chosen);
    let listed = |(manifest, chosen): (&Manifest, &Chosen)| {
        let first = chosen.first(manifest, GIVEN_FILES_LISTED_MAX).into_iter();
        first.map(|(path, bytes)| GivenFile { path: path.to_owned(), bytes }).collect()
    };
    FetchView {
        id: None,
        content: given.content.to_string(),
        name: known.map(|(manifest, _)| manifest.name()),
        bytes: known.map(|(_, chosen)| chosen.len),
        files: known.map(|(_, chosen)| chosen.files()),
        listed: known.map(listed).unwrap_or_default(),
        signers: given.signers.iter().map(ToString::to_string).collect(),
        sources: given.sources.len() as u64,
    }
}

fn refused(fault: OpeningFault) -> FetchRefusal {
    let category = match &fault {
        OpeningFault::Place(error) => error.category(),
        OpeningFault::Store(error) => error.category(),
        OpeningFault::Given(_)
        | OpeningFault::NoFile(_)
        | OpeningFault::Nothing
        | OpeningFault::Path(_)
        | OpeningFault::LeftOut(_)
        | OpeningFault::Room(_) => Category::Usage,
    };
    FetchRefusal::of(category, fault.to_string())
}
