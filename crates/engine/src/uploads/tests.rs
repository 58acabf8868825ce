use super::*;
use swarm_core::manifest::Geometry;

fn wanted(link: LinkId, request: u64) -> RunRequest {
    let geometry = Geometry::new([(1 << 20, 20)]).expect("a small file");
    let run = geometry.run(0, 0, 1 << 20).expect("the one chunk");
    RunRequest { link, request: RequestId(request), content: ContentId::from_bytes([0; 32]), run }
}

#[test]
fn peers_take_turns_by_bytes() {
    let mut uploads = Uploads::default();
    for link in [LinkId(1), LinkId(2)] {
        assert!(uploads.on_link_up(Instant::ZERO, link));
    }
    for request in 0..6 {
        assert!(uploads.push(wanted(LinkId(1), request)));
    }
    assert!(uploads.push(wanted(LinkId(2), 0)));
    let mut turns = Vec::new();
    while let Some(wanted) = uploads.pop(Instant::ZERO, |_| false, |_| ShareId::default()) {
        turns.push(wanted.link.0);
        uploads.on_ended(wanted.link, wanted.request);
    }
    assert_eq!(turns, [1, 2, 1, 1, 1, 1, 1]);
}

#[test]
fn a_peer_has_a_few_uploads_at_once_and_cancelled_ones_are_stopped() {
    let mut uploads = Uploads::default();
    uploads.on_link_up(Instant::ZERO, LinkId(1));
    (0..5).for_each(|request| assert!(uploads.push(wanted(LinkId(1), request))));
    assert!(!uploads.push(wanted(LinkId(1), 4)));
    assert_eq!(
        std::iter::from_fn(|| uploads.pop(Instant::ZERO, |_| false, |_| ShareId::default())).count(),
        UPLOADS_PER_LINK
    );
    assert_eq!(uploads.on_cancelled(LinkId(1), RequestId(0)), Some(true));
    assert_eq!(uploads.on_cancelled(LinkId(1), RequestId(4)), Some(false));
    assert_eq!(uploads.on_cancelled(LinkId(1), RequestId(4)), None);
    uploads.on_link_down(LinkId(1));
    assert_eq!(uploads.active, 0);
}

#[test]
fn a_peer_may_ask_for_so_many_at_a_time_sent_or_waiting_and_no_name_twice() {
    let mut uploads = Uploads::default();
    let link = LinkId(1);
    assert!(!uploads.push(wanted(link, 0)), "there is no such link");
    uploads.on_link_up(Instant::ZERO, link);
    for request in 0..2 {
        assert!(uploads.push(wanted(link, request)));
        assert!(uploads.pop(Instant::ZERO, |_| false, |_| ShareId::default()).is_some());
    }
    for request in 2..REQUESTS_PER_LINK_MAX as u64 {
        assert!(uploads.push(wanted(link, request)));
        assert!(!uploads.push(wanted(link, request)));
    }
    assert!(!uploads.push(wanted(link, 0)), "it is being sent");
    assert!(!uploads.push(wanted(link, 9999)), "too many");
    assert_eq!(uploads.on_cancelled(link, RequestId(2)), Some(false));
    assert!(uploads.push(wanted(link, 9999)));
}

#[test]
fn what_nobody_else_has_goes_to_one_after_the_other() {
    let mut uploads = Uploads::default();
    for link in [LinkId(1), LinkId(2)] {
        uploads.on_link_up(Instant::ZERO, link);
        assert!(uploads.push(wanted(link, 0)));
    }
    assert_eq!(uploads.pop(Instant::ZERO, |_| true, |_| ShareId::default()), Some(wanted(LinkId(1), 0)));
    assert_eq!(uploads.pop(Instant::ZERO, |_| true, |_| ShareId::default()), None);
    uploads.on_ended(LinkId(1), RequestId(0));
    assert_eq!(uploads.pop(Instant::ZERO, |_| true, |_| ShareId::default()), Some(wanted(LinkId(2), 0)));
}

#[test]
fn who_does_not_read_a_rare_chunk_keeps_others_from_it_for_a_while_and_from_nothing_else() {
    let mut uploads = Uploads::default();
    for link in [LinkId(1), LinkId(2)] {
        uploads.on_link_up(Instant::ZERO, link);
        assert!(uploads.push(wanted(link, 0)));
    }
    let other = RunRequest { content: ContentId::from_bytes([1; 32]), ..wanted(LinkId(2), 1) };
    assert!(uploads.push(other));
    assert_eq!(uploads.pop(Instant::ZERO, |_| true, |_| ShareId::default()), Some(wanted(LinkId(1), 0)));
    assert_eq!(uploads.pop(Instant::ZERO, |_| true, |_| ShareId::default()), Some(other));
    assert_eq!(uploads.pop(Instant::ZERO, |_| true, |_| ShareId::default()), None);
    let later = Instant::ZERO + ONE_BY_ONE_MAX;
    assert_eq!(uploads.pop(later, |_| true, |_| ShareId::default()), Some(wanted(LinkId(2), 0)));
}

#[test]
fn peers_that_read_nothing_keep_others_waiting_for_a_while_and_hold_no_more_than_so_many_blocks() {
    let mut uploads = Uploads::default();
    let links = (UPLOADS_HELD_MAX / UPLOADS_PER_LINK + 2) as u64;
    for link in (0..links).map(LinkId) {
        uploads.on_link_up(Instant::ZERO, link);
        (0..5).for_each(|request| assert!(uploads.push(wanted(link, request))));
    }
    let mut begun_at = |now| {
        std::iter::from_fn(|| uploads.pop(now, |_| false, |_| ShareId::default())).collect::<Vec<_>>().len()
    };
    assert_eq!(begun_at(Instant::ZERO), UPLOADS_MAX);
    assert_eq!(begun_at(Instant::ZERO + IN_THE_WAY_MAX / 2), 0);
    assert_eq!(begun_at(Instant::ZERO + IN_THE_WAY_MAX), UPLOADS_MAX);
    assert_eq!(begun_at(Instant::ZERO + IN_THE_WAY_MAX * 2), UPLOADS_MAX);
    assert_eq!(begun_at(Instant::ZERO + IN_THE_WAY_MAX * 3), UPLOADS_MAX);
    assert_eq!(begun_at(Instant::ZERO + IN_THE_WAY_MAX * 4), 0);
}

#[test]
fn whoever_is_choked_gets_a_turn() {
    let mut uploads = Uploads::default();
    let links = SLOTS_MAX as u64 + 4;
    let unchoked = (0..links).filter(|&link| uploads.on_link_up(Instant::ZERO, LinkId(link))).count();
    assert_eq!(unchoked, SLOTS_MAX);
    (0..links).for_each(|link| uploads.excuse(LinkId(link)));
    assert_eq!(uploads.rotate(Instant::ZERO, |_| Need::Starving), Rotation::default());
    let rotation = uploads.rotate(Instant::ZERO + SLOT_TIME_MAX, |_| Need::Starving);
    assert_eq!(rotation.unchoked.iter().map(|link| link.0).collect::<Vec<_>>(), [64, 65, 66, 67]);
    assert_eq!(rotation.choked.len(), 4);
    assert!(uploads.is_unchoked(LinkId(67)) && !uploads.is_unchoked(LinkId(0)));
}

#[test]
fn nobody_gives_its_slot_up_for_one_who_passes_nothing_on() {
    let mut uploads = Uploads::default();
    uploads.set_slots(2);
    assert_eq!((0..4).filter(|&link| uploads.on_link_up(Instant::ZERO, LinkId(link))).count(), 2);
    (0..4).for_each(|link| uploads.excuse(LinkId(link)));
    let need = |link: LinkId| if link.0 < 2 { Need::More } else { Need::Little };
    let later = Instant::ZERO + SLOT_TIME_MAX;
    assert_eq!(uploads.rotate(later, need), Rotation::default());
    let need = |link: LinkId| if link.0 == 1 { Need::Little } else { Need::More };
    let rotation = uploads.rotate(later, need);
    assert_eq!(rotation.choked.iter().map(|(link, _)| link.0).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(rotation.unchoked, [LinkId(2), LinkId(3)]);
}

#[test]
fn of_two_hundred_at_twelve_slots_nobody_waits_for_a_minute() {
    let mut uploads = Uploads::default();
    uploads.set_slots(12);
    let mut waiting: std::collections::BTreeSet<u64> = (0..200).collect();
    waiting.retain(|&link| !uploads.on_link_up(Instant::ZERO, LinkId(link)));
    assert_eq!(waiting.len(), 188);
    let mut now = Instant::ZERO;
    while !waiting.is_empty() {
        now = now + Duration::from_secs(2);
        for link in uploads.rotate(now, |_| Need::Starving).unchoked {
            waiting.remove(&link.0);
        }
    }
    assert!(now < Instant::ZERO + Duration::from_secs(40), "{now:?}");
}

#[test]
fn a_newcomer_gets_its_slot_soon_beside_thousands_that_ask_for_nothing() {
    let mut uploads = Uploads::default();
    uploads.set_slots(12);
    let mut now = Instant::ZERO;
    let unchoked = (0..4000).filter(|link| uploads.on_link_up(now, LinkId(*link))).count();
    assert_eq!(unchoked, 12);
    let newcomer = LinkId(9999);
    assert!(!uploads.on_link_up(now, newcomer));
    while !uploads.is_unchoked(newcomer) {
        now = now + Duration::from_secs(2);
        uploads.rotate(now, |_| Need::Starving);
    }
    assert!(now < Instant::ZERO + Duration::from_secs(45), "{now:?}");
    // It asks whenever it may; the others wait longer and longer.
    let mut turns = 0;
    for request in 0..30 {
        if uploads.is_unchoked(newcomer) {
            turns += 1;
            assert!(uploads.push(wanted(newcomer, request)));
        }
        now = now + Duration::from_secs(2);
        uploads.rotate(now, |_| Need::Starving);
    }
    assert!(turns > 10, "{turns} of 30");
}

#[test]
fn whoever_just_heard_of_something_has_time_to_ask_and_whoever_asked_keeps_its_place() {
    let at = |secs| Instant::ZERO + Duration::from_secs(secs);
    let lose = |has_asked: bool, alive_at: u64, looked_at: u64| {
        let mut uploads = Uploads::default();
        uploads.set_slots(1);
        let [first, other] = [LinkId(1), LinkId(2)];
        assert!(uploads.on_link_up(at(0), first) && !uploads.on_link_up(at(0), other));
        assert!(uploads.has_choked());
        if has_asked {
            assert!(uploads.push(wanted(first, 0)));
        }
        uploads.on_alive(at(alive_at), first);
        uploads.rotate(at(looked_at), |_| Need::More).choked.len()
    };
    assert_eq!(lose(false, 0, 3), 1, "it did not ask for two seconds");
    assert_eq!(lose(false, 2, 3), 0, "it heard of something one second ago");
    assert_eq!(lose(true, 9, 10), 1, "ten seconds are a turn, whatever was new meanwhile");
}

#[test]
fn when_there_are_fewer_slots_than_before_who_has_had_one_longest_goes_though_nobody_waits() {
    let mut uploads = Uploads::default();
    let at = |secs| Instant::ZERO + Duration::from_secs(secs);
    for link in 0..20 {
        assert!(uploads.on_link_up(at(link), LinkId(link)));
        assert!(uploads.push(wanted(LinkId(link), 0)));
    }
    assert_eq!(uploads.rotate(at(30), |_| Need::More), Rotation::default());
    uploads.set_slots(12);
    let rotation = uploads.rotate(at(30), |_| Need::More);
    assert_eq!(
        rotation.choked.iter().map(|(link, _)| link.0).collect::<Vec<_>>(),
        (0..8).collect::<Vec<_>>()
    );
    assert!(rotation.choked.iter().all(|(_, requests)| requests == &[RequestId(0)]));
    assert_eq!(rotation.unchoked, []);
    assert!(uploads.has_waiting(), "the others");
}

#[test]
fn who_has_all_that_is_here_gets_no_slot() {
    let mut uploads = Uploads::default();
    uploads.set_slots(1);
    assert!(uploads.on_link_up(Instant::ZERO, LinkId(0)));
    (1..4).for_each(|link| assert!(!uploads.on_link_up(Instant::ZERO, LinkId(link))));
    uploads.excuse(LinkId(0));
    let need = |link: LinkId| if link.0 == 3 { Need::More } else { Need::Nothing };
    assert_eq!(uploads.rotate(Instant::ZERO + SLOT_TIME_MAX, need).unchoked, [LinkId(3)]);
    assert_eq!(uploads.rotate(Instant::ZERO + SLOT_TIME_MAX * 9, |_| Need::Nothing).unchoked, []);
}

#[test]
fn where_everybody_has_a_slot_nobody_is_choked() {
    let mut uploads = Uploads::default();
    assert!(!uploads.has_choked());
    (0..SLOTS_MAX as u64).for_each(|link| assert!(uploads.on_link_up(Instant::ZERO, LinkId(link))));
    assert!(!uploads.has_choked());
    assert!(!uploads.on_link_up(Instant::ZERO, LinkId(999)));
    assert!(uploads.has_choked());
    uploads.on_link_down(LinkId(999));
    assert!(!uploads.has_choked());
}

#[test]
fn whoever_asked_for_nothing_is_no_different_from_others_when_there_is_something_new() {
    let mut uploads = Uploads::default();
    uploads.set_slots(1);
    let [idle, other] = [LinkId(1), LinkId(2)];
    assert!(uploads.on_link_up(Instant::ZERO, idle) && !uploads.on_link_up(Instant::ZERO, other));
    let at = |secs| Instant::ZERO + Duration::from_secs(secs);
    assert_eq!(uploads.rotate(at(2), |_| Need::More).unchoked, [other]);
    assert!(uploads.push(wanted(other, 0)));
    assert_eq!(uploads.rotate(at(13), |_| Need::More), Rotation::default());
    uploads.on_alive(at(13), idle);
    assert_eq!(uploads.rotate(at(13), |_| Need::More).unchoked, [idle]);
}

#[test]
fn what_waits_for_one_share_is_not_in_the_way_of_another() {
    let mut uploads = Uploads::default();
    uploads.on_link_up(Instant::ZERO, LinkId(1));
    let fast = ContentId::from_bytes([1; 32]);
    (0..5).for_each(|request| assert!(uploads.push(wanted(LinkId(1), request))));
    let of_fast = |request| RunRequest { content: fast, ..wanted(LinkId(1), request) };
    (5..10).for_each(|request| assert!(uploads.push(of_fast(request))));
    let share_of = |content| ShareId(u64::from(content == fast));
    let popped: Vec<u64> = std::iter::from_fn(|| uploads.pop(Instant::ZERO, |_| false, share_of))
        .map(|one| one.request.0)
        .collect();
    assert_eq!(popped, [0, 1, 2, 5, 6, 7]);
    uploads.on_ended(LinkId(1), RequestId(6));
    assert_eq!(uploads.pop(Instant::ZERO, |_| false, share_of), Some(of_fast(8)));
    assert_eq!(uploads.pop(Instant::ZERO, |_| false, share_of), None);
}
