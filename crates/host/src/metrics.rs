//! How a node stands, as OpenMetrics text. Pure: a status in, text out.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::protocol::{ContentState, ContentStatus, Status};

/// The text.
pub(super) fn encode(status: &Status) -> String {
    let mut registry = Registry::with_prefix("swarm");
    registry.register_collector(Box::new(StatusCollector(status.clone())));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes everything");
    text
}

#[derive(Debug)]
struct StatusCollector(Status);

/// A figure of each content.
type OfContent = fn(&ContentStatus) -> u64;

impl Collector for StatusCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = &self.0;
        let totals: [(&str, &str, OfContent); 3] = [
            ("sent_bytes", "Payload sent", |content| content.sent_bytes),
            ("fetched_bytes", "Payload fetched and verified", |content| content.fetched_bytes),
            ("corrupt_bytes", "Payload received that failed its check", |content| content.corrupt_bytes),
        ];
        for (name, help, of) in totals {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            self.each_content(&mut metric, |mut metric, content| {
                metric.encode_counter::<[(&str, &str); 0], _, u64>(&of(content), None)
            })?;
        }
        let gauges: [(&str, &str, OfContent); 3] = [
            ("content_bytes", "Length of a content", |content| content.bytes),
            ("content_present_bytes", "Bytes of it that are here and verified", |content| {
                content.present_bytes
            }),
            ("content_lost_chunks", "Chunks withdrawn because their data changed", |content| {
                content.lost_chunks
            }),
        ];
        for (name, help, of) in gauges {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            self.each_content(&mut metric, |mut metric, content| metric.encode_gauge(&gauge(of(content))))?;
        }
        let mut metric =
            encoder.encode_descriptor("contents", "Contents by state", None, MetricType::Gauge)?;
        for state in ContentState::ALL {
            let count = status.contents.iter().filter(|content| content.state == state).count() as u64;
            metric.encode_family(&[("state", state.as_str())])?.encode_gauge(&gauge(count))?;
        }
        for (name, help, value) in [
            ("wire_sent_bytes", "UDP payload sent", status.wire_sent_bytes),
            ("wire_received_bytes", "UDP payload received", status.wire_received_bytes),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<[(&str, &str); 0], _, u64>(&value, None)?;
        }
        for (name, help, value) in [
            ("peers", "Peers that are linked", status.peers.len() as u64),
            ("healthy", "1 if everything is served that should be", u64::from(status.is_healthy)),
            ("uptime_seconds", "Time since the node started", status.uptime_seconds),
        ] {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&gauge(value))?;
        }
        if let Some(store) = &status.store {
            let quota =
                store.quota_bytes.map(|len| ("store_quota_bytes", "Content that the store may hold", len));
            let used = ("store_used_bytes", "Content that the store has let in", store.used_bytes);
            for (name, help, value) in [Some(used), quota].into_iter().flatten() {
                encoder
                    .encode_descriptor(name, help, None, MetricType::Gauge)?
                    .encode_gauge(&gauge(value))?;
            }
        }
        let mut metric = encoder.encode_descriptor("node", "The node", None, MetricType::Info)?;
        metric.encode_info(&[("node", status.node.as_str()), ("version", env!("CARGO_PKG_VERSION"))])
    }
}

impl StatusCollector {
    /// Contents whose id is not known yet have no figures.
    fn each_content(
        &self,
        metric: &mut MetricEncoder<'_>,
        mut encode: impl FnMut(MetricEncoder<'_>, &ContentStatus) -> fmt::Result,
    ) -> fmt::Result {
        for content in &self.0.contents {
            let Some(id) = &content.content else { continue };
            let labels = [("content", id.as_str()), ("name", content.name.as_str())];
            encode(metric.encode_family(&labels)?, content)?;
        }
        Ok(())
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let content = ContentStatus {
            content: Some("ab".to_owned()),
            name: "a \"film\"".to_owned(),
            is_configured: true,
            state: ContentState::Serving,
            detail: None,
            category: None,
            bytes: 10,
            present_bytes: 9,
            sent_bytes: 8,
            fetched_bytes: 7,
            corrupt_bytes: 6,
            sent_bytes_per_sec: 0,
            fetched_bytes_per_sec: 0,
            lost_chunks: 0,
            ticket: None,
        };
        let unknown = ContentStatus { content: None, state: ContentState::Hashing, ..content.clone() };
        let status = Status { node: "cd".to_owned(), contents: vec![content, unknown], ..Status::default() };
        let text = encode(&status);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).take(4).collect();
        expect![[r#"
            # TYPE swarm_sent_bytes counter
            swarm_sent_bytes_total{content="ab",name="a \"film\""} 8
            # TYPE swarm_fetched_bytes counter
            swarm_fetched_bytes_total{content="ab",name="a \"film\""} 7"#]]
        .assert_eq(&lines.join("\n"));
        let read = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned())));
        let samples = read.expect("it parses").samples;
        let value = |name: &str, label: Option<(&str, &str)>| {
            let sample = samples.iter().find(|sample| {
                let is_labelled = label.is_none_or(|(key, value)| sample.labels.get(key) == Some(value));
                sample.metric == name && is_labelled
            });
            match &sample.unwrap_or_else(|| panic!("no {name} in {text}")).value {
                prometheus_parse::Value::Counter(value)
                | prometheus_parse::Value::Gauge(value)
                | prometheus_parse::Value::Untyped(value) => *value,
                other => panic!("{other:?}"),
            }
        };
        assert!((value("swarm_contents", Some(("state", "hashing"))) - 1.0).abs() < f64::EPSILON);
        assert!((value("swarm_content_present_bytes", Some(("content", "ab"))) - 9.0).abs() < f64::EPSILON);
        assert!(value("swarm_peers", None).abs() < f64::EPSILON);
    }
}
