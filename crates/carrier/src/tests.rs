//! Two carriers and the channel between them, as a picture.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::limits::{LINK_WINDOW_LEN, RECORD_LEN_MAX, STREAM_WINDOW_LEN, STREAMS_KEPT_MAX, STREAMS_MAX};
use super::*;

fn message(record: &Record) -> Bytes {
    let mut message = BytesMut::new();
    record.encode(&mut message);
    message.freeze()
}

/// Carries all that waits from one side to the other.
fn carry(from: &mut Carrier, to: &mut Carrier) -> Vec<Happened> {
    let mut happened = Vec::new();
    while let Some(record) = from.next_record() {
        happened.push(to.receive(message(&record)).expect("an honest side"));
    }
    happened
}

fn read_all(side: &mut Carrier, stream: StreamId) -> (Vec<u8>, Read) {
    let mut all = Vec::new();
    loop {
        match side.read(stream, 10_000).expect("it is being read") {
            Read::Bytes(bytes) => all.extend_from_slice(&bytes),
            end => return (all, end),
        }
    }
}

#[test]
fn a_stream_arrives_whole_and_its_sender_hears_of_it() {
    let (mut ours, mut theirs) = (Carrier::new(), Carrier::new());
    let stream = ours.open().expect("the first");
    let mut bytes = Bytes::from(vec![7; 100_000]);
    assert_eq!(ours.write(stream, &mut bytes), Ok(100_000));
    ours.finish(stream).expect("open");
    let happened = carry(&mut ours, &mut theirs);
    assert_eq!(
        happened,
        [
            Happened::Opened(stream),
            Happened::Arrived(stream),
            Happened::Arrived(stream),
            Happened::Arrived(stream)
        ],
        "two records, and the end"
    );
    assert_eq!(read_all(&mut theirs, stream), (vec![7; 100_000], Read::End));
    assert_eq!(theirs.read(stream, 1), Err(StreamFault));
    assert_eq!(carry(&mut theirs, &mut ours), [Happened::Room, Happened::Over(stream, None)]);
}

#[test]
fn what_is_under_way_is_bounded_by_credit_on_a_stream_and_on_the_link() {
    let (mut ours, mut theirs) = (Carrier::new(), Carrier::new());
    let mut sent_len = 0;
    for _ in 0..8 {
        let stream = ours.open().expect("few");
        let mut bytes = Bytes::from(vec![1; 2 * STREAM_WINDOW_LEN as usize]);
        let mut of_stream = 0;
        loop {
            let written = ours.write(stream, &mut bytes).expect("open");
            carry(&mut ours, &mut theirs);
            of_stream += written;
            if written == 0 {
                break;
            }
        }
        assert!(of_stream <= STREAM_WINDOW_LEN as usize);
        sent_len += of_stream;
    }
    assert_eq!(sent_len, LINK_WINDOW_LEN as usize);
    let first = StreamId(0);
    while let Read::Bytes(_) = theirs.read(first, usize::MAX).expect("known") {}
    carry(&mut theirs, &mut ours);
    let mut more = Bytes::from(vec![1; 10]);
    assert_eq!(ours.write(first, &mut more), Ok(10), "what was read is credit again");
}

#[test]
fn a_stream_that_is_stopped_gives_its_room_to_others_even_for_bytes_on_their_way() {
    let (mut ours, mut theirs) = (Carrier::new(), Carrier::new());
    for round in 0..20 {
        let stream = ours.open().unwrap_or_else(|| panic!("round {round}"));
        let mut bytes = Bytes::from(vec![1; STREAM_WINDOW_LEN as usize]);
        while ours.write(stream, &mut bytes).expect("open") > 0 {
            carry(&mut ours, &mut theirs);
        }
        assert!(bytes.is_empty(), "round {round}: no credit of the link is lost");
        theirs.stop(stream, 9);
        assert!(carry(&mut theirs, &mut ours).contains(&Happened::Over(stream, Some(9))));
        assert_eq!(ours.write(stream, &mut Bytes::from_static(b"x")), Err(WriteError::Stopped(9)));
        ours.reset(stream, 0);
        carry(&mut ours, &mut theirs);
    }
}

#[test]
fn what_came_of_a_stream_before_its_reset_is_read_first() {
    let (mut ours, mut theirs) = (Carrier::new(), Carrier::new());
    let stream = ours.open().expect("the first");
    ours.write(stream, &mut Bytes::from_static(b"abc")).expect("open");
    carry(&mut ours, &mut theirs);
    ours.write(stream, &mut Bytes::from_static(b"never sent")).expect("open");
    ours.reset(stream, 4);
    carry(&mut ours, &mut theirs);
    assert_eq!(read_all(&mut theirs, stream), (b"abc".to_vec(), Read::Reset(4)));
}

#[test]
fn short_pieces_are_kept_together() {
    let mut theirs = Carrier::new();
    let stream = StreamId(0);
    theirs.receive(message(&Record::Open(stream))).expect("the first");
    for byte in 0..200 {
        let chunk = Record::Chunk { stream, bytes: Bytes::copy_from_slice(&[byte]) };
        theirs.receive(message(&chunk)).expect("within credit");
    }
    assert_eq!(theirs.unread_len(), 200);
    assert_eq!(theirs.read(stream, usize::MAX), Ok(Read::Bytes((0..200).collect::<Vec<u8>>().into())));
    assert_eq!(theirs.read(stream, usize::MAX), Ok(Read::Pending));
}

#[test]
fn a_peer_that_causes_records_and_takes_none_is_not_heard() {
    let mut ours = Carrier::new();
    let mut count = 0;
    while !ours.is_congested() {
        let stream = ours.open().expect("the one before was given up");
        ours.reset(stream, 0);
        count += 1;
        assert!(count < 10_000, "what waits for the channel is bounded");
    }
    while ours.next_record().is_some() {}
    assert!(!ours.is_congested());
}

#[test]
fn streams_are_few_at_once_and_any_number_in_all() {
    let (mut ours, mut theirs) = (Carrier::new(), Carrier::new());
    for round in 0..4 {
        let streams: Vec<_> = std::iter::from_fn(|| ours.open()).collect();
        assert_eq!(streams.len(), STREAMS_MAX, "round {round}");
        for stream in streams {
            ours.finish(stream).expect("open");
            carry(&mut ours, &mut theirs);
            assert_eq!(theirs.read(stream, 1), Ok(Read::End));
            for happened in carry(&mut theirs, &mut ours) {
                if let Happened::Over(stream, None) = happened {
                    ours.forget(stream);
                }
            }
        }
    }
}

#[test]
fn the_control_stream_goes_first_and_long_frames_in_pieces() {
    let (mut ours, mut theirs) = (Carrier::new(), Carrier::new());
    let stream = ours.open().expect("the first");
    ours.write(stream, &mut Bytes::from_static(b"chunk")).expect("open");
    let long = vec![3; 100_000];
    ours.send_frame(&long).expect("short enough");
    ours.send_frame(b"next").expect("short enough");
    ours.ping(5);
    let happened = carry(&mut ours, &mut theirs);
    assert_eq!(
        happened,
        [
            Happened::Nothing,
            Happened::Control,
            Happened::Control,
            Happened::Opened(stream),
            Happened::Arrived(stream)
        ]
    );
    assert_eq!(theirs.next_frame(), Ok(Some(long.into())));
    assert_eq!(theirs.next_frame(), Ok(Some(Bytes::from_static(b"next"))));
    assert_eq!(theirs.next_frame(), Ok(None));
    assert_eq!(carry(&mut theirs, &mut ours), [Happened::Pong(5)]);
}

#[test]
fn closing_says_last_what_was_to_be_said_and_that_once() {
    let mut ours = Carrier::new();
    ours.send_frame(b"bye").expect("short enough");
    let last = ours.close(2, "enough");
    assert!(matches!(&last[..], [Record::Control(_), Record::Close { code: 2, .. }]));
    assert!(ours.close(2, "enough").is_empty());
}

/// What a side that breaks the rules is told.
fn violation(records: &[Record]) -> Option<Violation> {
    let mut side = Carrier::new();
    records.iter().find_map(|record| side.receive(message(record)).err())
}

#[test]
fn who_breaks_the_rules_is_found_out() {
    let open = |stream| Record::Open(StreamId(stream));
    let chunk = |stream, len| Record::Chunk { stream: StreamId(stream), bytes: Bytes::from(vec![0; len]) };
    let long = RECORD_LEN_MAX - 5;
    let over_stream = (0..=STREAM_WINDOW_LEN as usize / long).map(|_| chunk(0, long));
    let over_stream: Vec<_> = std::iter::once(open(0)).chain(over_stream).collect();
    assert_eq!(violation(&over_stream), Some(Violation::OverCredit));
    let over_link = (0..=LINK_WINDOW_LEN / 65_000).flat_map(|at| [open(at), chunk(at, 65_000)]);
    assert_eq!(violation(&over_link.collect::<Vec<_>>()), Some(Violation::OverCredit));
    assert_eq!(violation(&[open(1)]), Some(Violation::StreamNumber));
    assert_eq!(violation(&[chunk(0, 1)]), Some(Violation::StreamNumber));
    assert_eq!(violation(&[open(0), open(0)]), Some(Violation::StreamNumber));
    let many: Vec<_> = (0..=STREAMS_KEPT_MAX as u32).map(open).collect();
    assert_eq!(violation(&many), Some(Violation::StreamNumber));
    let end = Record::End(StreamId(0));
    assert_eq!(violation(&[open(0), end.clone(), chunk(0, 1)]), Some(Violation::AfterEnd));
    assert_eq!(violation(&[open(0), end.clone(), end]), Some(Violation::AfterEnd));
    let of_nobody = [
        Record::Taken(StreamId(3)),
        Record::Stop { stream: StreamId(3), code: 0 },
        Record::Credit { stream: StreamId(3), len: u32::MAX },
    ];
    assert_eq!(violation(&of_nobody), None);
}

/// What one side does next.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Write(u8, usize),
    Finish(u8),
    Reset(u8),
    Read(u8, usize),
    Stop(u8),
    Frame(usize),
    Carry(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Open),
        (any::<u8>(), 1usize..300_000).prop_map(|(which, len)| Step::Write(which, len)),
        any::<u8>().prop_map(Step::Finish),
        any::<u8>().prop_map(Step::Reset),
        (any::<u8>(), 1usize..200_000).prop_map(|(which, len)| Step::Read(which, len)),
        any::<u8>().prop_map(Step::Stop),
        (0usize..70_000).prop_map(Step::Frame),
        any::<bool>().prop_map(Step::Carry),
    ]
}

proptest! {
    /// Honest sides never break the rules, whatever they do; what is read is what was written; and in the end all credit is back.
    #[test]
    fn honest_sides_understand_each_other(steps in prop::collection::vec(step(), 1..200)) {
        let (mut ours, mut theirs) = (Carrier::new(), Carrier::new());
        let (mut open, mut known) = (Vec::new(), Vec::new());
        let hear = |happened: Vec<Happened>, known: &mut Vec<StreamId>| {
            known.extend(happened.into_iter().filter_map(|one| match one {
                Happened::Opened(stream) => Some(stream),
                _ => None,
            }));
        };
        let pick = |list: &[StreamId], which: u8| list.get(usize::from(which) % list.len().max(1)).copied();
        for step in steps {
            match step {
                Step::Open => open.extend(ours.open()),
                Step::Write(which, len) => if let Some(stream) = pick(&open, which) {
                    let _ = ours.write(stream, &mut Bytes::from(vec![stream.0 as u8; len]));
                },
                Step::Finish(which) => if let Some(stream) = pick(&open, which) {
                    let _ = ours.finish(stream);
                },
                Step::Reset(which) => if let Some(stream) = pick(&open, which) {
                    ours.reset(stream, 0);
                },
                Step::Read(which, max) => if let Some(stream) = pick(&known, which)
                    && let Ok(Read::Bytes(bytes)) = theirs.read(stream, max)
                {
                    prop_assert!(bytes.iter().all(|byte| *byte == stream.0 as u8));
                },
                Step::Stop(which) => if let Some(stream) = pick(&known, which) {
                    theirs.stop(stream, 0);
                },
                Step::Frame(len) => ours.send_frame(&vec![0; len]).expect("short"),
                Step::Carry(true) => hear(carry(&mut ours, &mut theirs), &mut known),
                Step::Carry(false) => {
                    for happened in carry(&mut theirs, &mut ours) {
                        if let Happened::Over(stream, _) = happened {
                            ours.forget(stream);
                            open.retain(|one| *one != stream);
                        }
                    }
                }
            }
        }
        for stream in open.drain(..) {
            ours.reset(stream, 0);
        }
        hear(carry(&mut ours, &mut theirs), &mut known);
        known.into_iter().for_each(|stream| theirs.stop(stream, 0));
        carry(&mut theirs, &mut ours);
        let mut sent_len = 0;
        for _ in 0..4 {
            let stream = ours.open().expect("none is open");
            let mut bytes = Bytes::from(vec![0; STREAM_WINDOW_LEN as usize]);
            while ours.write(stream, &mut bytes).expect("open") > 0 {
                carry(&mut ours, &mut theirs);
            }
            sent_len += STREAM_WINDOW_LEN as usize - bytes.len();
        }
        prop_assert_eq!(sent_len, LINK_WINDOW_LEN as usize);
    }
}
