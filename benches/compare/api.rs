//! The daemon's API: files over HTTPS beside nginx, `GET /status`, listeners of events, and clients that mean harm. `make bench-api`, or
//! `cargo bench --bench compare -- api [--dir DIR] [--len 1073741824] [--rounds 5] [--cases files,status,events,crowd]`.
//!
//! One daemon with a library of one film. Downloads of the contenders are interleaved and go to /dev/null; what the machine can do (page
//! cache, loopback) is printed first.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::baseline::{anyone, provider};
use crate::contenders::{Contender, Scene, Senders, swarm};
use crate::data::{Data, World};
use crate::named::Named;
use crate::{measure, now, pause};

struct Options {
    dir: PathBuf,
    len: u64,
    rounds: usize,
    cases: Vec<String>,
}

/// A daemon that runs, and tokens of its users.
struct Site {
    /// Ends it when dropped.
    senders: Senders,
    address: SocketAddr,
    tokens: Vec<String>,
}

pub(crate) fn run(args: &[String]) {
    let options = Options::parse(args);
    let world = World::new(&options.dir);
    let film = world.film(options.len);
    floors(&film);
    let site = Site::start(&world, &film);
    for case in &options.cases {
        match case.as_str() {
            "files" => site.files(&world, &film, options.rounds),
            "status" => site.status(),
            "events" => site.events(),
            "crowd" => site.crowd(),
            other => panic!("no case {other}: files, status, events, crowd"),
        }
    }
}

impl Options {
    fn parse(args: &[String]) -> Self {
        let named = Named::of(args);
        Self {
            dir: named.dir(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compare-api")),
            len: named.number("--len", 1 << 30),
            rounds: named.number("--rounds", 5) as usize,
            cases: named.list("--cases", "files,status,events,crowd"),
        }
    }
}

/// What the machine can do: a file from the page cache, and bytes over a TCP connection of loopback.
fn floors(film: &Data) {
    let mut block = vec![0; BLOCK_LEN];
    film.warm();
    let start = now();
    let mut file = File::open(film.path()).expect("it was made");
    while file.read(&mut block).expect("it can be read") > 0 {}
    let cached = start.elapsed();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = listener.local_addr().expect("it is bound");
    let len = film.len;
    let sender = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("it comes");
        let block = vec![7; BLOCK_LEN];
        let mut left = len as usize;
        while left > 0 {
            let piece = left.min(block.len());
            stream.write_all(&block[..piece]).expect("it reads");
            left -= piece;
        }
    });
    let start = now();
    let mut stream = TcpStream::connect(address).expect("it listens");
    while stream.read(&mut block).expect("it can be read") > 0 {}
    let loopback = start.elapsed();
    sender.join().expect("no panic");
    println!(
        "floors: read from the page cache {:.0} MB/s, one TCP connection over loopback {:.0} MB/s",
        rate(film.len, cached),
        rate(film.len, loopback)
    );
}

impl Site {
    fn start(world: &World, film: &Data) -> Self {
        let dir = world.state("daemon");
        let set = |name: &str, value: &Value| {
            fs::write(dir.join(name), value.to_string()).expect("room on the disk");
        };
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        set("config.json", &json!({"port": port, "listen": "127.0.0.1", "lan": false}));
        let mount = json!({"dir": film.dir, "libpath": "/", "sync": false});
        set("libraries.json", &json!({"Films": {"guid": GUID, "mounts": [mount]}}));
        let users: Vec<Value> =
            (0..USERS).map(|at| json!({"user": user(at), "pass": PASSWORD, "role": "admin"})).collect();
        set("users.json", &json!(users));
        let mut daemon = swarm(&dir.join("state"), None);
        daemon.args(["daemon", "--dir"]).arg(&dir);
        let process = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = process.expect("the binary starts");
        let stderr = process.stderr.take().expect("it is piped");
        std::thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).for_each(drop));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let senders = Senders::listening(vec![process], &[port], Vec::new());
        let mut site = Self { senders, address, tokens: Vec::new() };
        site.tokens = (0..USERS).map(|at| site.login(&user(at))).collect();
        site.until_served(film);
        site
    }

    /// Waits until the daemon knows a user.
    fn login(&self, user: &str) -> String {
        let body = json!({"username": user, "password": PASSWORD}).to_string();
        let start = now();
        loop {
            let told = self.ask("POST", "/auth/token", &body);
            let token = told.1["access_token"].as_str();
            if let Some(token) = token {
                return token.to_owned();
            }
            assert!(start.elapsed() < READY_TIMEOUT, "no token: {told:?}");
            pause(Duration::from_millis(100));
        }
    }

    /// Waits until the library lists its film.
    fn until_served(&self, film: &Data) {
        let start = now();
        loop {
            let (_, listed) = self.ask("GET", &format!("/files?guid={GUID}"), "");
            if listed.to_string().contains(&film.name) {
                return;
            }
            assert!(start.elapsed() < READY_TIMEOUT, "it lists no film: {listed}");
            pause(Duration::from_millis(100));
        }
    }

    /// A request over a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &str) -> (String, Value) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let head = self.head(method, path, "connection: close\r\n");
        let kind = "content-type: application/json\r\n";
        let request = format!("{head}{kind}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let body = &body[body.find(['{', '[']).unwrap_or(body.len())..];
        let mut values = serde_json::Deserializer::from_str(body).into_iter();
        (head.to_owned(), values.next().and_then(Result::ok).unwrap_or(Value::Null))
    }

    /// The head of a request of the first user, but for the empty line that ends it.
    fn head(&self, method: &str, path: &str, more: &str) -> String {
        self.head_of(0, method, path, more)
    }

    /// The same of any user; of nobody before there are tokens.
    fn head_of(&self, user: usize, method: &str, path: &str, more: &str) -> String {
        let user = match self.tokens.get(user) {
            Some(token) => format!("authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{user}{more}", self.address)
    }

    fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.senders.processes[0].id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// The film by curl, in turn from nginx, and from the daemon over each version of HTTP.
    fn files(&self, world: &World, film: &Data, rounds: usize) {
        if !Contender::CURL.is_there() {
            println!("files: NOT RUN: nginx or curl is not installed");
            return;
        }
        let scene = Scene::new(Contender::CURL, world, film, 1, None);
        let nginx = Contender::CURL.start(&scene);
        let own = format!("https://localhost:{}/file/{GUID}/{}", self.address.port(), film.name);
        let ways = [
            ("nginx, HTTP/1.1", "--http1.1", nginx.places()[0].as_str(), &nginx),
            ("swarm, HTTP/1.1", "--http1.1", own.as_str(), &self.senders),
            ("swarm, HTTP/2", "--http2", own.as_str(), &self.senders),
        ];
        let mut samples = vec![Vec::new(); ways.len()];
        // From a file: what stands in arguments is seen by everybody on a machine.
        let headers = scene.state("curl").join("headers");
        fs::write(&headers, format!("authorization: Bearer {}\n", self.tokens[0])).expect("room on the disk");
        let mut token = std::ffi::OsString::from("@");
        token.push(headers);
        for _ in 0..rounds {
            for ((_, version, url, senders), samples) in ways.iter().zip(&mut samples) {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "--fail", "--insecure", version, "-o", "/dev/null", "--header"]);
                curl.arg(&token).arg(url);
                samples.push(
                    measure::run(curl, &senders.processes).unwrap_or_else(|error| panic!("{url}: {error}")),
                );
            }
        }
        let median = |of: Vec<f64>| median(of);
        let wall = |at: usize| median(samples[at].iter().map(|sample| sample.wall).collect());
        println!("files: {:.2} GB by curl to /dev/null, medians of {rounds} rounds", film.len as f64 / 1e9);
        for (at, (name, ..)) in ways.iter().enumerate() {
            let cpu = median(samples[at].iter().map(|sample| sample.sender.sum()).collect());
            println!(
                "  {name:<16} {:>6.0} MB/s, {:.2} x nginx, sender {:.2} CPU s/GB",
                film.len as f64 / 1e6 / wall(at),
                wall(0) / wall(at),
                cpu / (film.len as f64 / 1e9)
            );
        }
    }

    /// `GET /status`: at a rate that clients keep, whatever the answers take, and as fast as it goes.
    fn status(&self) {
        let runtime = runtime();
        let request: Arc<str> = format!("{}\r\n", self.head("GET", "/status", "")).into();
        let times = runtime.block_on(at_a_rate(self.address, &request));
        println!(
            "status: {STATUS_RATE} a second for {} s over {STATUS_LINKS} connections: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
            STATUS_TIME.as_secs(),
            part(&times, 0.5),
            part(&times, 0.99),
            part(&times, 1.0)
        );
        let cpu = measure::all(&self.senders.processes).sum();
        let count = runtime.block_on(as_fast_as_it_goes(self.address, &request));
        let cpu = measure::all(&self.senders.processes).sum() - cpu;
        println!(
            "status: as fast as it goes, {STATUS_LINKS} connections: {:.0} a second, {:.0} µs of the daemon's CPU time each",
            count as f64 / STATUS_TIME.as_secs_f64(),
            cpu / count as f64 * 1e6
        );
    }

    /// Listeners of events that hear nothing new.
    fn events(&self) {
        for is_encrypted in [false, true] {
            let before = self.resident_mib();
            let listeners: Vec<Box<dyn io::Read>> = (0..LISTENERS)
                .map(|at| -> Box<dyn io::Read> {
                    // Each user has a share of the listeners.
                    let head = self.head_of(at % USERS, "GET", "/api/v1/events", "");
                    let head = format!("{head}accept: text/event-stream\r\n\r\n");
                    let stream = TcpStream::connect(self.address).expect("it listens");
                    if is_encrypted {
                        Box::new(begun(encrypted(stream), &head))
                    } else {
                        Box::new(begun(stream, &head))
                    }
                })
                .collect();
            pause(SETTLE);
            let more = self.resident_mib() - before;
            let cpu = measure::all(&self.senders.processes).sum();
            pause(SETTLE);
            let cpu = measure::all(&self.senders.processes).sum() - cpu;
            println!(
                "events: {} listeners over {}: {more:.1} MiB more, {:.1} % of a core",
                listeners.len(),
                if is_encrypted { "HTTPS" } else { "HTTP" },
                cpu / SETTLE.as_secs_f64() * 100.0
            );
            drop(listeners);
            pause(Duration::from_secs(2));
        }
    }

    /// Clients that mean harm, and what others are served meanwhile.
    fn crowd(&self) {
        let before = self.resident_mib();
        let meanwhile = |what: &str| {
            let start = now();
            let (head, _) = self.ask("GET", "/status", "");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let (time, more) = (start.elapsed(), self.resident_mib() - before);
            println!("crowd: {what}: {more:.1} MiB more, /status in {:.1} ms", time.as_secs_f64() * 1e3);
        };
        meanwhile("none");
        let silent = opened(self.address, b"");
        meanwhile(&format!("{} of {CROWD} connections that say nothing", silent.len()));
        drop(silent);
        let slow = opened(self.address, b"GET /status HTTP/1.1\r\nhost: a\r\nx-slow: ");
        meanwhile(&format!("{} of {CROWD} connections with half a head", slow.len()));
        drop(slow);
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let (line, mut taken) = (format!("x-long: {}\r\n", "a".repeat(8000)), 0);
        stream.write_all(b"GET /status HTTP/1.1\r\n").expect("it reads");
        while taken < 1 << 30 && stream.write_all(line.as_bytes()).is_ok() {
            taken += line.len();
        }
        meanwhile(&format!("a head of 1 GB, of which {} KB went out", taken / 1000));
    }
}

fn user(at: usize) -> String {
    format!("user {at}")
}

/// Connections that say this much, and no more. Those that cannot be opened are left out.
fn opened(address: SocketAddr, says: &[u8]) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        // One that was closed already is still one of the crowd.
        let _ = stream.write_all(says);
        Some(stream)
    };
    (0..CROWD).filter_map(open).collect()
}

/// Sends a request for events and reads the first ones.
fn begun<S: io::Read + io::Write>(mut stream: S, head: &str) -> S {
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut first = vec![0; 32 << 10];
    let len = stream.read(&mut first).expect("it answers");
    assert!(first[..len].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first[..len]));
    stream
}

fn encrypted(stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("it has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anyone::Anyone(provider())))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("it is valid"), stream)
}

/// Answers of requests that go out at a fixed rate; times from when each should have gone out, sorted, milliseconds.
async fn at_a_rate(address: SocketAddr, request: &Arc<str>) -> Vec<f64> {
    let mut links = JoinSet::new();
    let pace = Duration::from_secs(STATUS_LINKS as u64) / STATUS_RATE;
    let count = STATUS_TIME.as_millis() / pace.as_millis();
    for number in 0..STATUS_LINKS as u32 {
        let request = Arc::clone(request);
        links.spawn(async move {
            let mut link = Link::open(address).await;
            link.ask(&request).await;
            let mut due = tokio::time::Instant::from_std(now()) + pace / STATUS_LINKS as u32 * number;
            let mut times = Vec::new();
            for _ in 0..count {
                tokio::time::sleep_until(due).await;
                link.ask(&request).await;
                times.push(due.elapsed().as_secs_f64() * 1e3);
                due += pace;
            }
            times
        });
    }
    let mut times: Vec<f64> = links.join_all().await.concat();
    times.sort_by(f64::total_cmp);
    times
}

/// How many requests were answered.
async fn as_fast_as_it_goes(address: SocketAddr, request: &Arc<str>) -> u64 {
    let mut links = JoinSet::new();
    for _ in 0..STATUS_LINKS {
        let request = Arc::clone(request);
        links.spawn(async move {
            let mut link = Link::open(address).await;
            let start = now();
            let mut count = 0;
            while start.elapsed() < STATUS_TIME {
                link.ask(&request).await;
                count += 1;
            }
            count
        });
    }
    links.join_all().await.into_iter().sum()
}

/// A connection that stays.
struct Link {
    stream: tokio::net::TcpStream,
    read: Vec<u8>,
}

impl Link {
    async fn open(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("it is TCP");
        Self { stream, read: Vec::with_capacity(64 << 10) }
    }

    /// Sends a request, and reads its answer to the end.
    async fn ask(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).await.expect("it reads");
        self.read.clear();
        loop {
            let len = self.stream.read_buf(&mut self.read).await.expect("it answers");
            assert!(len > 0, "the daemon closed a connection");
            let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.read[..end]).expect("ASCII");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let len: usize = len.expect("it has a length").parse().expect("a number");
            if self.read.len() >= end + 4 + len {
                return;
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The value that this part of sorted ones does not exceed.
fn part(sorted: &[f64], part: f64) -> f64 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    part(&values, 0.5)
}

fn rate(len: u64, time: Duration) -> f64 {
    len as f64 / 1e6 / time.as_secs_f64()
}

const GUID: &str = "0123456789abcdef";
/// Each of them has room for the listeners that are its part.
const USERS: usize = 20;
const PASSWORD: &str = "a long password";
const BLOCK_LEN: usize = 1 << 20;
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(5);
const STATUS_RATE: u32 = 1000;
const STATUS_LINKS: usize = 50;
const STATUS_TIME: Duration = Duration::from_secs(10);
const LISTENERS: usize = 1000;
const CROWD: usize = 10_000;
