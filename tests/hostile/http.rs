//! Hostile clients of a daemon's HTTP port. In every case another client is served meanwhile, the daemon's memory stays bounded, and what the hostile ones
//! hold ends by itself.

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{MIB, Process, Spent, World, args};

/// A daemon, and an honest client that asks all the time.
struct Victim {
    process: Process,
    address: SocketAddr,
    /// Memory before anything happened, bytes.
    rested_len: u64,
    honest: Honest,
    _world: World,
}

/// Asks until it is told to stop.
struct Honest {
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicU32>,
    thread: JoinHandle<()>,
}

impl Victim {
    fn new() -> Self {
        Self::with_descriptors(None)
    }

    /// One that may have so many files and sockets open.
    fn with_descriptors(count: Option<u32>) -> Self {
        let world = World::new();
        let dir = world.path("daemon");
        std::fs::create_dir(&dir).expect("a place");
        let config = json!({"port": 0, "listen": "127.0.0.1", "lan": false});
        for (name, value) in [
            ("config.json", &config),
            ("users.json", &json!([{"user": "anna", "pass": "secret", "role": "admin"}])),
        ] {
            std::fs::write(dir.join(name), value.to_string()).expect("a place");
        }
        let args = args!["daemon", "--dir", dir];
        let process = match count {
            Some(count) => world.start_with_descriptors(count, &args),
            None => world.start(&args),
        };
        let port = |line: &str| line.split_once("//localhost:")?.1.split_once('/')?.0.parse().ok();
        let port: u16 = process.wait_stderr_line(port);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let honest = Honest::at(address);
        honest.wait_for(3);
        let rested_len = process.peak_memory_len().expect("these tests need /proc");
        Self { process, address, rested_len, honest, _world: world }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// The honest client was served meanwhile and is now; the daemon holds no more than `mib` above what it held at rest.
    #[expect(clippy::print_stderr, reason = "what a case costs is told")]
    fn passes(self, case: &str, mib: u64) {
        let before = self.honest.answers.load(Ordering::Relaxed);
        self.honest.wait_for(before + 5);
        let peak_len = self.process.peak_memory_len().expect("it runs");
        let spent = Spent::of(self.process.pid(), peak_len);
        let more = peak_len.saturating_sub(self.rested_len) / MIB;
        let answers = self.honest.end();
        eprintln!(
            "hostile: {case:<58} | {more} MiB more | cpu {:.2} s | {answers} answers",
            spent.cpu.as_secs_f64()
        );
        assert!(more <= mib, "{case}: {more} MiB more than at rest");
        let outcome = self.process.kill();
        assert!(!outcome.err.iter().any(|line| line.contains("panicked")), "{outcome:?}");
    }
}

impl Honest {
    fn at(address: SocketAddr) -> Self {
        let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&answers));
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if is_served(address) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { is_over, answers, thread }
    }

    fn wait_for(&self, count: u32) {
        let began = now();
        while self.answers.load(Ordering::Relaxed) < count {
            assert!(now().duration_since(began) < PATIENCE, "the honest client is not served");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(self) -> u32 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it ends");
        self.answers.load(Ordering::Relaxed)
    }
}

/// Whether an honest request is answered soon.
fn is_served(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, SOON)?;
        stream.set_read_timeout(Some(SOON))?;
        write!(stream, "GET /api/v1/setup HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text.contains(" 200 ") && text.contains("\"needed\""))
    };
    ask().unwrap_or(false)
}

/// Whether the daemon has ended a connection; waits for it.
fn is_ended(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                let is_waiting =
                    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                return !is_waiting;
            }
        }
    }
}

/// Sends the bytes in turn until the daemon takes no more; gives how many it took.
fn pour(stream: &mut TcpStream, bytes: &[u8], most: u64) -> u64 {
    let mut sent = 0;
    while sent < most && stream.write_all(bytes).is_ok() {
        sent += bytes.len() as u64;
    }
    sent
}

#[test]
fn clients_that_send_a_byte_a_second_end_and_hinder_nobody() {
    let victim = Victim::new();
    // What each says at once, and what it says further, a byte at a time.
    let login =
        format!("POST /login HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n", victim.address);
    let cases: [(String, &[u8]); 8] = [
        (String::new(), b""),
        ("G".to_owned(), b"ET / HTTP/1.1\r\nx: "),
        ("P".to_owned(), b""),
        ("PRI * HTTP/2.0\r\n".to_owned(), b""),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), b""),
        ("\u{16}".to_owned(), b"\x03\x01\x02\x00"),
        (format!("GET / HTTP/1.1\r\nhost: {}\r\n", victim.address), b"x-header: long"),
        (format!("{login}content-length: 1000\r\n\r\n"), b"{\"username\": \"anna"),
    ];
    let mut slow: Vec<(TcpStream, usize)> = Vec::new();
    for _ in 0..40 {
        for (case, (first, _)) in cases.iter().enumerate() {
            let mut stream = victim.connect();
            stream.write_all(first.as_bytes()).expect("it takes bytes");
            slow.push((stream, case));
        }
    }
    for second in 0..12 {
        for (stream, case) in &mut slow {
            if let Some(byte) = cases[*case].1.get(second) {
                // It may have ended.
                let _ = stream.write_all(&[*byte]);
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    for (mut stream, case) in slow {
        assert!(is_ended(&mut stream), "a client of case {case} is still there");
    }
    victim.passes("320 clients that send a byte a second", 40);
}

#[test]
fn a_gigabyte_of_headers_is_not_taken() {
    let victim = Victim::new();
    let line = format!("x-header: {}\r\n", "x".repeat(1000));
    let first = format!("GET / HTTP/1.1\r\nhost: {}\r\n", victim.address);
    let one_line = vec![b'x'; 64 << 10];
    for bytes in [line.repeat(64).as_bytes(), &one_line, b"x:\r\n".repeat(16 << 10).as_slice()] {
        let mut stream = victim.connect();
        stream.write_all(first.as_bytes()).expect("it takes bytes");
        let sent = pour(&mut stream, bytes, 1 << 30);
        assert!(sent < 64 * MIB, "it took {sent} bytes");
        assert!(is_ended(&mut stream));
    }
    victim.passes("a gigabyte of headers", 40);
}

#[test]
fn a_huge_body_is_not_taken() {
    let victim = Victim::new();
    let head =
        format!("POST /login HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n", victim.address);
    let block = vec![b' '; 64 << 10];
    let chunk = [format!("{:x}\r\n", block.len()).as_bytes(), &block, b"\r\n"].concat();
    for (rest, bytes) in
        [("content-length: 1073741824\r\n\r\n", &block), ("transfer-encoding: chunked\r\n\r\n", &chunk)]
    {
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let (mut stream, head, bytes) = (victim.connect(), format!("{head}{rest}"), bytes.clone());
                std::thread::spawn(move || {
                    stream.write_all(head.as_bytes()).expect("it takes bytes");
                    let sent = pour(&mut stream, &bytes, 1 << 30);
                    (sent, is_ended(&mut stream))
                })
            })
            .collect();
        for client in clients {
            let (sent, is_ended) = client.join().expect("it ends");
            assert!(sent < 64 * MIB && is_ended, "it took {sent} bytes");
        }
    }
    victim.passes("forty bodies of a gigabyte", 120);
}

#[test]
fn five_thousand_connections_from_one_address_hinder_nobody() {
    if !can_open(CROWD + 1000) {
        eprintln!("NOT RUN: this process may not open {} sockets (ulimit -n)", CROWD + 1000);
        return;
    }
    let victim = Victim::new();
    let mut crowd: Vec<TcpStream> = Vec::new();
    for number in 0..CROWD {
        let mut stream = victim.connect();
        // Half say nothing, half begin a request.
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET /api/v1/setup HTTP/1.1\r\n");
        }
        crowd.push(stream);
    }
    victim.honest.wait_for(victim.honest.answers.load(Ordering::Relaxed) + 5);
    assert!(crowd.iter_mut().all(is_ended), "all end by themselves");
    victim.passes("5000 connections from one address", 150);
}

#[test]
fn a_daemon_of_few_descriptors_keeps_some_for_itself() {
    let victim = Victim::with_descriptors(Some(256));
    let mut crowd: Vec<TcpStream> = (0..600).map(|_| victim.connect()).collect();
    victim.honest.wait_for(victim.honest.answers.load(Ordering::Relaxed) + 5);
    assert!(crowd.iter_mut().all(is_ended), "all end by themselves");
    victim.passes("600 connections to a daemon of 256 descriptors", 40);
}

#[test]
fn thousands_of_wrong_logins_at_once_cost_little() {
    let victim = Victim::new();
    let address = victim.address;
    let body = json!({"username": "anna", "password": "wrong"}).to_string();
    let ask = format!(
        "POST /login HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let ask = ask.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let mut stream = TcpStream::connect(address).expect("it listens");
                    let mut text = String::new();
                    let sent =
                        stream.write_all(ask.as_bytes()).and_then(|()| stream.read_to_string(&mut text));
                    assert!(sent.is_err() || text.contains(" 401 ") || text.contains(" 429 "), "{text}");
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("it ends"));
    // A password takes 19 MiB while it is compared, and two are at once.
    victim.passes("2000 wrong logins", 100);
}

/// Raises the limit as far as it goes, and says whether so many can be open.
fn can_open(count: usize) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.is_none_or(|current| current >= count as u64)
}

#[expect(clippy::disallowed_methods, reason = "a test waits for a process")]
fn now() -> Instant {
    Instant::now()
}

const CROWD: usize = 5000;
/// An honest client waits so long.
const SOON: Duration = Duration::from_secs(10);
/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_mins(1);
