//! Arguments: pages in browsers as peers.

use clap::builder::FalseyValueParser;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct WebArgs {
    /// Let browsers and Node.js take part, too: serve the page /get and links by WebSocket on the TCP port with the number of the UDP
    /// port, and links by WebTransport on the UDP port itself
    #[arg(long, env = "SWARM_WEB", value_parser = FalseyValueParser::new())]
    pub(crate) web: bool,
    /// Let only pages link that this node serves, and those of this site, as in `https://example.org`; may be given more than once [default:
    /// pages of any site, which can have what they can name, as any node can]
    #[arg(long, value_name = "ORIGIN", requires = "web", env = "SWARM_WEB_ORIGIN", value_delimiter = ',')]
    pub(crate) web_origin: Vec<String>,
}
