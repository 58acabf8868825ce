//! Arguments: pages in browsers as peers.

use clap::builder::FalseyValueParser;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct WebArgs {
    /// Let browsers and Node.js take part, too: serve the page /get and links by WebSocket on the TCP port with the number of the UDP
    /// port, and links by WebTransport on the UDP port itself
    #[arg(long, env = "SWARM_WEB", value_parser = FalseyValueParser::new())]
    pub(crate) web: bool,
    /// A site whose pages may link to this node, as in https://example.org, or any; may be given more than once [default: the pages that
    /// this node serves]
    #[arg(
        long,
        value_name = "ORIGIN|any",
        requires = "web",
        env = "SWARM_WEB_ORIGIN",
        value_delimiter = ','
    )]
    pub(crate) web_origin: Vec<String>,
}
