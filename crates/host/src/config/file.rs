//! The configuration file: TOML in, a checked [`Config`] or one line that names file, line and key out. Reads one file; starts
//! nothing.

use std::fmt::Display;
use std::io::Read as _;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;
use toml::Spanned;

use super::{Allowed, AnyOr, Collecting, Config, ConfigError, Rates, TimeOfDay, Window};
use crate::contents::Spec;
use crate::limits::{CONFIG_LEN_MAX, CONTENTS_MAX};
use crate::settings::{Fixed, Live, LogFormat, PeerLimits, PeersMax};
use swarm_core::base::limits::COORDINATORS_MAX;
use swarm_core::base::text::text_of;
use swarm_core::base::{ByteLen, ContentId, NodeId, Rate, Zone};
use swarm_core::manifest::{Address, Source};
use swarm_credentials::TrustFiles;
use swarm_discovery::Finders;
use swarm_link::Origins;

/// Reads a configuration. Relative paths in it start at its own folder.
pub(super) fn load(path: &Path) -> Result<Config, ConfigError> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(CONFIG_LEN_MAX + 1).read_to_end(&mut bytes)?;
        let not_text = |error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        text_of(&bytes).map(str::to_owned).map_err(not_text)
    };
    let text = read().map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    if text.len() as u64 > CONFIG_LEN_MAX {
        return Err(ConfigError::TooLong(path.to_owned()));
    }
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(path, &text, absolute.parent().unwrap_or(Path::new("/")))
}

/// Takes the text of a configuration that stands at `path`. Relative paths in it start at `folder`.
pub(in super::super) fn parse(path: &Path, text: &str, folder: &Path) -> Result<Config, ConfigError> {
    Text { path, text }.config(folder)
}

/// The JSON schema of the file.
pub(super) fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

/// The configuration of a swarm node (TOML).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "swarm node")]
struct File {
    /// UDP address to listen on, as in "[::]:4433". Without it: all addresses, on the last port if it is free.
    listen: Option<Parsed<SocketAddr>>,
    /// host:port at which others reach this node, if it is not an address of this machine.
    #[serde(default)]
    advertise: Vec<Parsed<Address>>,
    /// Coordinators that this node announces its contents to and asks for peers: "NODEID@host:port".
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 8))]
    coordinators: Option<Spanned<Vec<Parsed<Source>>>>,
    /// Name of this node's site or provider, chosen by you: coordinators name peers of the same zone first.
    zone: Option<Parsed<Zone>>,
    /// Announce on the local network, and listen there for peers. Without it: true.
    lan: Option<bool>,
    /// Announce to BitTorrent's Mainline DHT and look there for peers; the DHT learns this node's address.
    #[serde(default)]
    dht: bool,
    /// Nodes through which to enter a DHT of your own, instead of the public one: "host:port".
    #[serde(default)]
    dht_bootstrap: Vec<Parsed<Address>>,
    /// Ask the router to forward a port to this node (PCP, NAT-PMP, UPnP).
    #[serde(default)]
    map_port: bool,
    /// Folder for keys, remembered hashes and the list of what was added at run time; --state-dir and SWARM_STATE_DIR override it.
    state_dir: Option<PathBuf>,
    /// Path of the control socket. Without it: control.sock in the state folder.
    control: Option<PathBuf>,
    /// Upload no faster than this, all peers together: "20MB/s", "100mbit".
    limit_up: Option<Parsed<Rate>>,
    /// Download no faster than this, all peers together.
    limit_down: Option<Parsed<Rate>>,
    /// Upload to one peer no faster than this.
    limit_up_per_peer: Option<Parsed<Rate>>,
    /// Download from one peer no faster than this.
    limit_down_per_peer: Option<Parsed<Rate>>,
    /// Most peers connected at once, from 1 to 4096.
    #[schemars(with = "Option<u64>", range(min = 1, max = 4096))]
    max_peers: Option<Spanned<u64>>,
    /// Limits by local time of day. The first entry whose time it is counts; a limit that it does not name keeps its usual value.
    #[serde(default)]
    #[schemars(with = "Vec<FileWindow>")]
    schedule: Vec<Spanned<FileWindow>>,
    /// How log lines on stderr look.
    #[serde(default)]
    log: LogFormat,
    /// TCP address of the pages /metrics and /healthz, as in "127.0.0.1:9433". Without it there are none.
    metrics_listen: Option<Parsed<SocketAddr>>,
    /// Let browsers and Node.js take part, too: the page /get and links by WebSocket on the TCP port with the number of the UDP port.
    #[serde(default)]
    web: bool,
    /// Sites whose pages alone may link to this node, beside those that it serves: "https://example.org". Without it: pages of any site.
    #[serde(default)]
    web_origins: Vec<String>,
    /// Be a coordinator, too: tell other nodes of each other.
    #[serde(default)]
    coordinator: bool,
    /// Be an aggregator, too: store contents that other nodes offer (swarm join), and serve them.
    #[schemars(with = "Option<FileAggregate>")]
    aggregate: Option<Spanned<FileAggregate>>,
    /// Which nodes may connect, and which may have what. Without it: every node that can name a content.
    #[serde(default)]
    trust: FileTrust,
    /// What to serve: either paths, or a manifest and where its files are.
    #[serde(default)]
    #[schemars(with = "Vec<FileContent>")]
    content: Vec<Spanned<FileContent>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "trust")]
struct FileTrust {
    /// List of the nodes that may connect: one NODEID a line, followed by "mirror" if the node may offer nothing new.
    allow: Option<PathBuf>,
    /// Certificate of an authority: only nodes with a certificate of this authority may connect.
    ca: Option<PathBuf>,
    /// The authority's list of revoked certificates.
    revoked: Option<PathBuf>,
    /// This node's own certificate.
    cert: Option<PathBuf>,
    /// Folder of lists of the nodes that may have a content, each named by the content's id. A content without a list is
    /// for all nodes.
    readers: Option<PathBuf>,
    /// Accept the authority for development, whose key is public.
    #[serde(default)]
    dev: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "aggregate")]
struct FileAggregate {
    /// Folder for the contents, each in a folder of its own that is named by its id.
    store: PathBuf,
    /// Most bytes of content that the folder may hold, as in "2TB"; for a new content, those that were wanted longest ago
    /// are evicted. Without it: nothing is evicted.
    quota: Option<Parsed<ByteLen>>,
    /// Ids of nodes that may offer contents, or "any".
    #[serde(default)]
    accept: Vec<Parsed<AnyOr<NodeId>>>,
    /// Ids of contents that may be offered, or "any", as without it. Contents that are named here are never evicted.
    content: Option<Vec<Parsed<AnyOr<ContentId>>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "schedule")]
struct FileWindow {
    /// The first minute, as in "08:00".
    from: Parsed<TimeOfDay>,
    /// The minute at which it ends; if that is before `from`, it ends on the next day.
    to: Parsed<TimeOfDay>,
    /// Upload no faster than this, all peers together.
    limit_up: Option<Parsed<Rate>>,
    /// Download no faster than this, all peers together.
    limit_down: Option<Parsed<Rate>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "content")]
struct FileContent {
    /// Files and folders to serve, as one content.
    paths: Option<Vec<PathBuf>>,
    /// With `paths`: leave out what has a name that no content can hold, with a line for each in the log.
    skip_unportable: Option<bool>,
    /// A manifest, with `path`.
    manifest: Option<PathBuf>,
    /// The folder that holds (a part of) what the manifest names, or its only file.
    path: Option<PathBuf>,
}

/// A value that is written as a string.
#[derive(Clone, Copy, Debug)]
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Parsed inside the deserializer's call, which then knows the place of what is wrong.
        deserializer.deserialize_str(ParsedVisitor(PhantomData))
    }
}

fn plain<T>(value: Option<Parsed<T>>) -> Option<T> {
    value.map(|Parsed(value)| value)
}

struct ParsedVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: Display>> serde::de::Visitor<'_> for ParsedVisitor<T> {
    type Value = Parsed<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Parsed<T>, E> {
        text.parse().map(Parsed).map_err(E::custom)
    }
}

impl<T> JsonSchema for Parsed<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "string".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// A configuration as it was read.
struct Text<'a> {
    path: &'a Path,
    text: &'a str,
}

impl FileTrust {
    /// The lists of who belongs, and this node's certificate.
    fn files(self, folder: &Path) -> (TrustFiles, Option<PathBuf>) {
        let Self { allow, ca, revoked, cert, readers, dev } = self;
        let place = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        let files = TrustFiles {
            allow: place(allow),
            ca: place(ca),
            revoked: place(revoked),
            is_dev: dev,
            readers: Vec::new(),
            readers_dir: place(readers),
        };
        (files, place(cert))
    }
}

impl Text<'_> {
    fn config(&self, folder: &Path) -> Result<Config, ConfigError> {
        // Named one by one: a key without an effect does not compile.
        let File {
            listen,
            advertise,
            coordinators,
            zone,
            lan,
            dht,
            dht_bootstrap,
            map_port,
            state_dir,
            control,
            limit_up,
            limit_down,
            limit_up_per_peer,
            limit_down_per_peer,
            max_peers,
            schedule,
            log,
            metrics_listen,
            web,
            web_origins,
            coordinator,
            aggregate,
            trust,
            content,
        } = self.file()?;
        let place = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        let rates = |up, down| Rates { up: plain(up), down: plain(down) };
        let coordinators = coordinators.map(|list| self.coordinators(&list)).transpose()?;
        let count_max = max_peers.map(|max| self.max_peers(&max)).transpose()?;
        let finders = Finders {
            coordinators: coordinators.unwrap_or_default(),
            zone: plain(zone),
            lan: lan.unwrap_or(true),
            dht,
            dht_bootstrap: dht_bootstrap.into_iter().map(|Parsed(address)| address).collect(),
            map_port,
        };
        let schedule = schedule.iter().map(|window| self.window(window)).collect::<Result<_, _>>()?;
        let contents = self.contents(&content, folder)?;
        let collecting = aggregate.map(|aggregate| self.aggregate(&aggregate, folder)).transpose()?;
        let (trust, cert) = trust.files(folder);
        let fixed = Fixed {
            listen: plain(listen),
            advertise: advertise.into_iter().map(|Parsed(address)| address).collect(),
            state_dir: place(state_dir),
            control: place(control),
            finders,
            peers: PeerLimits { rates: rates(limit_up_per_peer, limit_down_per_peer), count_max },
            log,
            metrics_listen: plain(metrics_listen),
            web: web.then(|| Origins::of_listed(web_origins)),
            is_coordinator: coordinator,
            collecting,
            cert,
        };
        let live = Live { rates: rates(limit_up, limit_down), schedule, trust, contents };
        Ok(Config { fixed, live, no_lan: false })
    }

    fn contents(&self, list: &[Spanned<FileContent>], folder: &Path) -> Result<Vec<Spec>, ConfigError> {
        let mut contents = Vec::new();
        for content in list {
            let spec = self.content(content, folder)?;
            if contents.contains(&spec) {
                return Err(self.wrong(content.span(), "content", "it is there twice: take one out"));
            }
            if contents.len() >= CONTENTS_MAX {
                let message = format!("there are more than {CONTENTS_MAX}: run a second node for the rest");
                return Err(self.wrong(content.span(), "content", message));
            }
            contents.push(spec);
        }
        Ok(contents)
    }

    fn aggregate(
        &self,
        aggregate: &Spanned<FileAggregate>,
        folder: &Path,
    ) -> Result<Collecting, ConfigError> {
        let FileAggregate { store, quota, accept, content } = aggregate.get_ref();
        let nodes = Allowed::of(accept.iter().map(|Parsed(node)| *node));
        if nodes.is_empty() {
            let message = "`accept` is missing or empty: name the nodes that may offer contents, or write accept = [\"any\"]";
            return Err(self.wrong(aggregate.span(), "aggregate", message));
        }
        let contents = match content {
            Some(list) => Allowed::of(list.iter().map(|Parsed(content)| *content)),
            None => Allowed::any(),
        };
        if contents.is_empty() {
            let message = "`content` is empty: name contents, or take it out to let in any";
            return Err(self.wrong(aggregate.span(), "aggregate", message));
        }
        let quota_len = quota.map(|Parsed(ByteLen(quota_len))| quota_len);
        Ok(Collecting { store: folder.join(store), quota_len, nodes, contents })
    }

    fn file(&self) -> Result<File, ConfigError> {
        let wrong = |key: String, error: &toml::de::Error| {
            let at = error.span().unwrap_or(0..0);
            let key = if key.is_empty() || key == "." { self.key_at(at.start) } else { key };
            self.wrong(at, key, error.message().lines().collect::<Vec<_>>().join("; "))
        };
        let document = toml::Deserializer::parse(self.text).map_err(|error| wrong(String::new(), &error))?;
        serde_path_to_error::deserialize(document).map_err(|error| wrong(key_of(error.path()), error.inner()))
    }

    fn coordinators(&self, list: &Spanned<Vec<Parsed<Source>>>) -> Result<Vec<Source>, ConfigError> {
        if list.get_ref().len() > COORDINATORS_MAX {
            let message = format!("there are more than {COORDINATORS_MAX}: name fewer");
            return Err(self.wrong(list.span(), "coordinators", message));
        }
        Ok(list.get_ref().iter().map(|Parsed(source)| source.clone()).collect())
    }

    fn max_peers(&self, max: &Spanned<u64>) -> Result<PeersMax, ConfigError> {
        let checked = PeersMax::try_from(*max.get_ref());
        checked.map_err(|error| self.wrong(max.span(), "max_peers", error.to_string()))
    }

    fn window(&self, window: &Spanned<FileWindow>) -> Result<Window, ConfigError> {
        let FileWindow { from: Parsed(from), to: Parsed(to), limit_up, limit_down } = window.get_ref();
        let wrong = |message| Err(self.wrong(window.span(), "schedule", message));
        if from == to {
            return wrong("`from` and `to` are the same: for all day write the limit without a schedule");
        }
        if limit_up.is_none() && limit_down.is_none() {
            return wrong("it limits nothing: add limit_up or limit_down");
        }
        let rate = |rate: &Option<Parsed<Rate>>| rate.as_ref().map(|Parsed(rate)| *rate);
        Ok(Window { from: *from, to: *to, rates: Rates { up: rate(limit_up), down: rate(limit_down) } })
    }

    fn content(&self, content: &Spanned<FileContent>, folder: &Path) -> Result<Spec, ConfigError> {
        let wrong = |message| Err(self.wrong(content.span(), "content", message));
        let join = |path: &PathBuf| folder.join(path);
        match content.get_ref() {
            FileContent { paths: Some(paths), manifest: None, path: None, skip_unportable }
                if !paths.is_empty() =>
            {
                let skip_unportable = skip_unportable.unwrap_or_default();
                Ok(Spec::Paths { paths: paths.iter().map(join).collect(), skip_unportable })
            }
            FileContent { paths: Some(_), manifest: None, path: None, .. } => {
                wrong("`paths` is empty: name files or folders")
            }
            FileContent {
                paths: None,
                manifest: Some(manifest),
                path: Some(path),
                skip_unportable: None,
            } => Ok(Spec::Copy { manifest: join(manifest), path: join(path) }),
            FileContent { paths: None, manifest: Some(_), path: None, .. } => {
                wrong("`path` is missing: name the folder that holds what the manifest names")
            }
            FileContent { paths: None, manifest: None, path: Some(_), .. } => {
                wrong("`manifest` is missing: add it, or write paths = [...] without one")
            }
            FileContent { paths: None, skip_unportable: Some(_), .. } => {
                wrong("`skip_unportable` goes with `paths`: a manifest says by itself what it holds")
            }
            _ => wrong("write either paths = [...], or manifest = \"...\" and path = \"...\""),
        }
    }

    fn wrong(
        &self,
        at: std::ops::Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> ConfigError {
        let line = self.text.bytes().take(at.start).filter(|byte| *byte == b'\n').count() + 1;
        // Both may quote what stands in the file.
        let [key, message] =
            [key.into(), message.into()].map(|text: String| text.replace(char::is_control, ""));
        ConfigError::Wrong { path: self.path.to_owned(), line, key, message }
    }

    /// What stands before the `=` on the line at this byte, or the line if there is none.
    fn key_at(&self, at: usize) -> String {
        let at = (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim();
        key.chars().filter(|c| !c.is_control()).take(40).collect()
    }
}

/// A key as it stands in the file: `Spanned` shows up in paths as a table of its own.
fn key_of(path: &serde_path_to_error::Path) -> String {
    let mut key = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => key += &format!("[{index}]"),
            Segment::Map { key: name } | Segment::Enum { variant: name } if !name.starts_with('$') => {
                key += if key.is_empty() { "" } else { "." };
                key += name;
            }
            Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        Text { path: Path::new("node.toml"), text }.config(Path::new("/etc/swarm"))
    }

    #[test]
    fn everything_that_can_be_said_is_understood() {
        let config = read(
            r#"
            listen = "[::]:4433"
            advertise = ["seed.example.org:4433"]
            state_dir = "/var/lib/swarm"
            control = "run/control.sock"
            limit_up = "100mbit"
            limit_down = "20MB/s"
            limit_up_per_peer = "10MB/s"
            limit_down_per_peer = "5MB/s"
            max_peers = 50
            log = "json"
            metrics_listen = "127.0.0.1:9433"
            coordinator = true
            [aggregate]
            store = "store"
            quota = "2TB"
            accept = ["any"]
            [[schedule]]
            from = "08:00"
            to = "18:00"
            limit_up = "1MB/s"
            [[content]]
            paths = ["/srv/films", "more"]
            [[content]]
            manifest = "a.swarm"
            path = "/srv/a"
            "#,
        )
        .expect("all of it is right");
        let Config { fixed, live, .. } = config;
        assert_eq!(fixed.control, Some(PathBuf::from("/etc/swarm/run/control.sock")));
        assert_eq!(live.rates, Rates { up: Some(Rate(12_500_000)), down: Some(Rate(20_000_000)) });
        assert_eq!(fixed.peers.rates, Rates { up: Some(Rate(10_000_000)), down: Some(Rate(5_000_000)) });
        assert_eq!((fixed.peers.count_max.map(PeersMax::get), fixed.log), (Some(50), LogFormat::Json));
        assert_eq!(live.schedule.len(), 1);
        let collecting = fixed.collecting.as_ref().expect("a store");
        assert_eq!(collecting.store, PathBuf::from("/etc/swarm/store"));
        assert_eq!((collecting.quota_len, fixed.is_coordinator), (Some(2_000_000_000_000), true));
        let paths = ["/srv/films", "/etc/swarm/more"].map(PathBuf::from).to_vec();
        let copy = Spec::Copy { manifest: "/etc/swarm/a.swarm".into(), path: "/srv/a".into() };
        assert_eq!(live.contents, [Spec::Paths { paths, skip_unportable: false }, copy]);
        assert!(read("").expect("nothing has to be said").live.contents.is_empty());
    }

    #[test]
    fn a_mistake_is_told_in_one_line_with_file_line_and_key() {
        let place = format!("\"{}@127.0.0.1:9\", ", "ab".repeat(32));
        let nine = format!("\ncoordinators = [{}]", place.repeat(9));
        for (text, expected) in [
            ("\nlimit_up = \"fast\"", "node.toml:2: limit_up: `fast`"),
            ("limit_up = 20", "node.toml:1: limit_up: invalid type"),
            ("limit_up = 20MB", "node.toml:1: limit_up"),
            ("listen = \"nowhere\"", "node.toml:1: listen: "),
            ("advertise = [\"a:1\",\n\"b\"]", "node.toml:2: advertise[1]: `b` is not an address"),
            ("log = \"text\"\nspeed = 2", "node.toml:2: speed: unknown field `speed`, expected one of"),
            ("\n\nmax_peers = 0", "node.toml:3: max_peers: 0 is not from 1 to 4096"),
            ("max_peers = 1\nmax_peers = 2", "node.toml:2: max_peers: duplicate key"),
            ("log = \"xml\"", "node.toml:1: log: unknown variant `xml`"),
            ("[[content]]\npaths = []", "node.toml:1: content: `paths` is empty"),
            ("[[content]]\npath = \"a\"", "node.toml:1: content: `manifest` is missing"),
            ("[[content]]\nmanifest = \"a\"", "node.toml:1: content: `path` is missing"),
            ("[[content]]\n", "node.toml:1: content: write either"),
            (
                "[[content]]\npaths = [\"a\"]\n[[content]]\npaths = [\"a\"]",
                "node.toml:3: content: it is there",
            ),
            ("[[content]]\npaths = \"a\"", "node.toml:2: content[0].paths: invalid type"),
            ("[[content]]\nname = \"a\"", "node.toml:2: content[0].name: unknown field `name`"),
            ("[[schedule]]\nfrom = \"08:00\"", "node.toml:1: schedule[0]: missing field `to`"),
            ("[[schedule]]\nfrom = \"25:00\"", "node.toml:2: schedule[0].from: `25:00` is not a time"),
            ("[[schedule]]\nfrom = \"08:00\"\nto = \"08:00\"", "node.toml:1: schedule: `from` and `to`"),
            ("[[schedule]]\nfrom = \"08:00\"\nto = \"09:00\"", "node.toml:1: schedule: it limits nothing"),
            ("[aggregate]\naccept = [\"any\"]", "node.toml:1: aggregate: missing field `store`"),
            ("[aggregate]\nstore = \"a\"", "node.toml:1: aggregate: `accept` is missing"),
            (
                "[aggregate]\nstore = \"a\"\naccept = [\"any\"]\ncontent = []",
                "node.toml:1: aggregate: `content` is empty",
            ),
            (
                "[aggregate]\nstore = \"a\"\naccept = [\"me\"]",
                "node.toml:3: aggregate.accept[0]: `me` is neither",
            ),
            (&nine, "node.toml:2: coordinators: there are more than 8"),
            ("listen =\n", "node.toml:1: listen"),
            ("é\u{7}x", "node.toml:1: "),
            ("\"a\\nb\\u001b[2J\" = 1", "node.toml:1: ab[2J: unknown field `a; b[2J`"),
            ("limit_up = \"\\u001bfast\"", "node.toml:1: limit_up: `fast` is not a rate"),
        ] {
            let message = read(text).expect_err(text).to_string();
            assert!(message.starts_with(expected), "{text:?}: {message}");
            assert!(!message.chars().any(char::is_control), "{message:?}");
        }
    }

    #[test]
    fn the_schema_describes_every_key() {
        let schema = Config::schema();
        let keys = schema["properties"].as_object().expect("keys");
        assert_eq!(schema["additionalProperties"], false);
        for (key, described) in keys {
            assert!(described["description"].as_str().is_some_and(|text| text.len() > 10), "{key}");
        }
        assert_eq!(keys.len(), 24);
        // An empty file is a configuration.
        assert!(schema["required"].is_null(), "{}", schema["required"]);
    }

    #[test]
    fn every_key_is_taken_by_a_running_node_or_needs_a_restart() {
        let node = "ab".repeat(32);
        let (live, restart) = (false, true);
        let told = [
            ("listen", "listen = \"127.0.0.1:1\"", restart),
            ("advertise", "advertise = [\"a:1\"]", restart),
            ("coordinators", &format!("coordinators = [\"{node}@a:1\"]"), restart),
            ("zone", "zone = \"lab\"", restart),
            ("lan", "lan = false", restart),
            ("dht", "dht = true", restart),
            ("dht_bootstrap", "dht_bootstrap = [\"a:1\"]", restart),
            ("map_port", "map_port = true", restart),
            ("state_dir", "state_dir = \"a\"", restart),
            ("control", "control = \"a\"", restart),
            ("limit_up", "limit_up = \"1MB/s\"", live),
            ("limit_down", "limit_down = \"1MB/s\"", live),
            ("limit_up_per_peer", "limit_up_per_peer = \"1MB/s\"", restart),
            ("limit_down_per_peer", "limit_down_per_peer = \"1MB/s\"", restart),
            ("max_peers", "max_peers = 1", restart),
            ("schedule", "[[schedule]]\nfrom = \"08:00\"\nto = \"09:00\"\nlimit_up = \"1MB/s\"", live),
            ("log", "log = \"json\"", restart),
            ("metrics_listen", "metrics_listen = \"127.0.0.1:1\"", restart),
            ("web", "web = true", restart),
            ("web_origins", "web = true\nweb_origins = [\"https://example.org\"]", restart),
            ("coordinator", "coordinator = true", restart),
            ("aggregate", "[aggregate]\nstore = \"a\"\naccept = [\"any\"]", restart),
            ("content", "[[content]]\npaths = [\"a\"]", live),
            ("trust.allow", "[trust]\nallow = \"a\"", live),
            ("trust.ca", "[trust]\nca = \"a\"", live),
            ("trust.revoked", "[trust]\nrevoked = \"a\"", live),
            ("trust.cert", "[trust]\ncert = \"a\"", restart),
            ("trust.readers", "[trust]\nreaders = \"a\"", live),
            ("trust.dev", "[trust]\ndev = true", live),
        ];
        let without = read("").expect("nothing has to be said");
        for (key, text, needs_restart) in told {
            let with = read(text).expect(key);
            assert_eq!(without.needs_restart(&with), needs_restart, "{key}");
            assert_eq!(without.live != with.live, !needs_restart, "{key}");
        }
        let mut told: Vec<String> = told.iter().map(|(key, ..)| (*key).to_owned()).collect();
        told.sort();
        assert_eq!(told, keys());
    }

    /// All keys of the file by the schema, sorted; those of `trust` one by one.
    fn keys() -> Vec<String> {
        let schema = Config::schema();
        let names =
            |of: &serde_json::Value| of["properties"].as_object().expect("keys").keys().cloned().collect();
        let (top, trust): (Vec<String>, Vec<String>) = (names(&schema), names(&schema["$defs"]["trust"]));
        let top = top.into_iter().filter(|key| key != "trust");
        let mut keys: Vec<String> = top.chain(trust.iter().map(|key| format!("trust.{key}"))).collect();
        keys.sort();
        keys
    }
}
