//! Events for those who look on: how everything stands, whenever it changed. Invariant: events have rising numbers, and each says all; whoever was
//! away for long is told how many it missed; who may not see a library or the peers gets a status without them, which is made once for all who have the same roles. A user has a share of the listeners.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_core::Stream;
use swarm_daemon::Status;
use tokio::sync::broadcast;

use crate::app::App;
use crate::auth::{Caller, Roles};
use crate::limits::{
    EVENT_INTERVAL, EVENT_KEEP_ALIVE, EVENTS_WAITING, LISTENERS_MAX, LISTENERS_OF_USER_MAX,
    STATUSES_SEEN_MAX, WRITE_IDLE,
};
use crate::places::Places;
use crate::problem::{Answer, Problem};
use crate::routes::seen_by;

/// The events of this process.
pub(crate) struct Events {
    past: Mutex<Past>,
    news: broadcast::Sender<Arc<Numbered>>,
    places: Places,
}

#[derive(Debug)]
struct Past {
    /// Numbers of this process are greater.
    first: u64,
    last: u64,
    newest: Option<Arc<Numbered>>,
}

#[derive(Debug)]
struct Numbered {
    id: u64,
    status: Arc<Status>,
    /// For those who may see all of it.
    whole: OnceLock<Arc<str>>,
    /// For those who may see some, by their roles.
    seen: Mutex<Vec<(Roles, Arc<str>)>>,
}

impl Default for Events {
    fn default() -> Self {
        let news = broadcast::channel(EVENTS_WAITING).0;
        // Numbers of processes before this one are smaller: they had less than one event a millisecond.
        let first = crate::clock::now_ms();
        let past = Past { first, last: first, newest: None };
        Self { past: Mutex::new(past), news, places: Places::of(LISTENERS_MAX, LISTENERS_OF_USER_MAX) }
    }
}

impl Events {
    /// Takes a status; it is news if anything but the time is another.
    fn take(&self, status: Arc<Status>) -> bool {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if past.newest.as_ref().is_some_and(|last| is_same(&last.status, &status)) {
            return false;
        }
        past.last += 1;
        let event =
            Arc::new(Numbered { id: past.last, status, whole: OnceLock::new(), seen: Mutex::default() });
        past.newest = Some(Arc::clone(&event));
        drop(past);
        // Nobody may listen.
        let _ = self.news.send(event);
        true
    }

    /// What somebody gets at first who saw the events up to `last`: how many it can be told no more, and the newest if that is not the one it saw.
    fn catch_up(
        &self,
        last: Option<u64>,
    ) -> (u64, Option<Arc<Numbered>>, broadcast::Receiver<Arc<Numbered>>) {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let news = self.news.subscribe();
        // Each event says all: the newest is all that is kept.
        let newest = past.newest.clone().filter(|newest| last != Some(newest.id));
        // Numbers of an earlier process say nothing here.
        let of_this_process = last.filter(|last| (past.first..past.last).contains(last));
        let missed = of_this_process.map_or(0, |last| past.last - last - 1);
        (missed, newest, news)
    }
}

/// Makes events while somebody listens.
pub(crate) async fn make(app: Arc<App>) {
    let mut tick = tokio::time::interval(EVENT_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while app.ending.run_until_cancelled(tick.tick()).await.is_some() {
        if app.events.news.receiver_count() > 0
            && let Ok(status) = app.status().await
        {
            app.events.take(status);
        }
    }
}

/// Whether two say the same but for the time.
fn is_same(one: &Status, other: &Status) -> bool {
    let timeless = |status: &Status| {
        let mut status = Status { uptime: String::new(), uptime_seconds: 0, ..status.clone() };
        // It is never twice the same.
        status.peers.iter_mut().for_each(|peer| peer.round_trip_us = None);
        status
    };
    timeless(one) == timeless(other)
}

/// Server-sent events
///
/// `event: status` with the whole status whenever it changed, at most twice a second; `event: gap` with `{"missed":N}` for a client that missed
/// some. The header `Last-Event-ID` goes on where a client stood.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "node",
    responses((status = 200, description = "Events until one side closes", content_type = "text/event-stream", body = String), (status = "default", description = "A problem", body = Problem))
)]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    caller.needs_something_to_see()?;
    let full = || {
        Problem::new(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            "too many clients listen already, of yours or of all: try again later",
        )
        .retry_after(30)
    };
    let place = app.events.places.take(&caller.user).ok_or_else(full)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    // So that there is something to begin with.
    app.events.take(app.status().await?);
    let (missed, newest, mut news) = app.events.catch_up(last);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Event>(1);
    let (ending, asked) = (app.ending.clone(), Arc::clone(&app));
    app.tasks.spawn(async move {
        let _place = place;
        // On a connection of HTTP/2 that goes on, one stream may stand still.
        let send = async |event| tokio::time::timeout(WRITE_IDLE, sender.send(event)).await.ok()?.ok();
        let tell = async {
            if missed > 0 {
                send(Event::default().event("gap").data(format!("{{\"missed\":{missed}}}"))).await?;
            }
            if let Some(newest) = newest {
                send(event(&newest, &caller)).await?;
            }
            loop {
                let heard = tokio::time::timeout(EVENT_KEEP_ALIVE, news.recv()).await;
                // Sessions end and roles change while somebody listens.
                let caller = caller.again(&asked.files)?;
                caller.needs_something_to_see().ok()?;
                match heard {
                    Ok(Ok(numbered)) => send(event(&numbered, &caller)).await?,
                    // A slow client gets the next one whole.
                    Err(_) | Ok(Err(broadcast::error::RecvError::Lagged(_))) => {}
                    Ok(Err(broadcast::error::RecvError::Closed)) => return Some(()),
                }
            }
        };
        tokio::select! {
            _ = tell => {}
            () = sender.closed() => {}
            () = ending.cancelled() => {}
        }
    });
    let events = Received(receiver);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(EVENT_KEEP_ALIVE)))
}

fn event(numbered: &Numbered, caller: &Caller) -> Event {
    Event::default().id(numbered.id.to_string()).event("status").data(&*numbered.seen_by(caller))
}

impl Numbered {
    /// The status as a caller may see it.
    fn seen_by(&self, caller: &Caller) -> Arc<str> {
        let text =
            |status: &Status| Arc::from(serde_json::to_string(status).unwrap_or_else(|_| "{}".to_owned()));
        let lock = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().iter().find(|(roles, _)| *roles == caller.roles).map(|(_, text)| Arc::clone(text));
        if let Some(known) = known {
            return known;
        }
        match seen_by(&self.status, caller) {
            Cow::Borrowed(all) => Arc::clone(self.whole.get_or_init(|| text(all))),
            Cow::Owned(part) => {
                let (made, mut seen) = (text(&part), lock());
                if seen.len() < STATUSES_SEEN_MAX {
                    seen.push((caller.roles.clone(), Arc::clone(&made)));
                }
                made
            }
        }
    }
}

/// What a channel gives, as a stream.
struct Received(tokio::sync::mpsc::Receiver<Event>);

impl Stream for Received {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|event| event.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use swarm_daemon_files::Role;

    use super::*;

    fn status(rate: u64) -> Arc<Status> {
        Arc::new(Status { rate_down: rate, ..Status::default() })
    }

    #[test]
    fn only_what_changed_is_news() {
        let events = Events::default();
        let later = Status { uptime_seconds: 9, uptime: "9s".to_owned(), rate_down: 1, ..Status::default() };
        let news = [events.take(status(1)), events.take(Arc::new(later)), events.take(status(2))];
        assert_eq!(news, [true, false, true]);
    }

    #[test]
    fn a_status_is_made_once_for_all_who_have_the_same_roles() {
        let events = Events::default();
        events.take(status(1));
        let newest = events.catch_up(None).1.expect("an event");
        let roles = |role| Roles { node: Some(role), ..Roles::default() };
        let caller = |name: &str, role| Caller::by_basic(name, roles(role), "");
        let seen = |name: &str, role| newest.seen_by(&caller(name, role));
        let of_vera = seen("vera", Role::Viewer);
        assert!(Arc::ptr_eq(&of_vera, &seen("victor", Role::Viewer)));
        assert!(!Arc::ptr_eq(&of_vera, &seen("edith", Role::Editor)));
        assert!(Arc::ptr_eq(&seen("adam", Role::Admin), &seen("amy", Role::Admin)));
    }

    #[test]
    fn who_was_away_gets_the_newest_and_is_told_what_is_gone() {
        let events = Events::default();
        let count = 30;
        (1..=count).for_each(|rate| assert!(events.take(status(rate))));
        let first = events.past.lock().expect("nobody panicked").first;
        let check = |last: Option<u64>, missed: u64, newest: Option<u64>| {
            let (found, event, _) = events.catch_up(last.map(|last| first + last));
            assert_eq!((found, event.map(|event| event.id - first)), (missed, newest), "{last:?}");
        };
        check(None, 0, Some(count));
        check(Some(count), 0, None);
        check(Some(count - 1), 0, Some(count));
        check(Some(20), 9, Some(count));
        check(Some(4), 25, Some(count));
        check(Some(count + 5), 0, Some(count));
        // It is of an earlier process.
        let (missed, newest, _) = events.catch_up(Some(3));
        assert_eq!((missed, newest.map(|event| event.id)), (0, Some(first + count)));
    }
}
