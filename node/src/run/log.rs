//! Logging: stderr, one event a line, stable event names.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Libraries that tell of each message at `info` or `debug`, where an operator looks for events.
const TALKATIVE: [&str; 10] = [
    "arc_malachitebft",
    "actix_server",
    "actix_http",
    "libp2p",
    "multistream_select",
    "yamux",
    "quinn",
    "rustls",
    "hickory",
    "sled",
];

/// Whoever connects decides how often these speak, and they call it an error: a request that is no HTTP
/// gets its answer, and not a line of the log.
const AT_ANYBODYS_WILL: [&str; 2] = ["actix_http::h1::dispatcher", "actix_http::h1::decoder"];

/// What is wanted, less what strangers could fill the disk with. A filter that names those gets them.
fn guarded(wanted: &str) -> EnvFilter {
    let off = AT_ANYBODYS_WILL
        .iter()
        .filter(|target| !wanted.contains(*target))
        .filter_map(|target| format!("{target}=off").parse().ok());
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    off.fold(filter, EnvFilter::add_directive)
}

/// A filter with this level for Palisade, and only warnings of the talkative.
pub(crate) fn quiet(level: &str) -> String {
    let hushed: Vec<String> = TALKATIVE
        .iter()
        .map(|name| format!("{name}=warn"))
        .collect();
    format!("{level},{}", hushed.join(","))
}

/// Installs the subscriber of this process.
pub(crate) fn install(format: LogFormat, filter: &str, verbose: u8) {
    let wanted = std::env::var("PALISADE_LOG").unwrap_or_else(|_| match verbose {
        0 => filter.to_owned(),
        1 => quiet("debug"),
        _ => "trace".to_owned(),
    });
    let filter = guarded(&wanted);
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log without room loses lines; complaining of that on the same stderr would panic.
        .log_internal_errors(false);
    // A second installation, as in tests, changes nothing.
    let installed = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder
            .with_ansi(std::io::stderr().is_terminal())
            .try_init()
    };
    drop(installed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an operator's log holds events, and a library's warning still gets through. Method: the
    /// filter is asked about spans and events of each, as the subscriber asks it.
    #[test]
    fn libraries_are_hushed_and_their_warnings_heard() {
        use tracing_subscriber::layer::SubscriberExt as _;
        use tracing_subscriber::registry;
        for level in ["info", "debug"] {
            let filter = EnvFilter::try_new(quiet(level)).unwrap();
            tracing::subscriber::with_default(registry().with(filter), || {
                assert!(tracing::event_enabled!(target: "palisade::run", tracing::Level::INFO));
                assert!(tracing::event_enabled!(target: "net::engine", tracing::Level::INFO));
                assert!(!tracing::event_enabled!(
                    target: "arc_malachitebft_core_consensus::handle", tracing::Level::INFO
                ));
                assert!(!tracing::event_enabled!(target: "libp2p_swarm", tracing::Level::INFO));
                assert!(
                    !tracing::event_enabled!(target: "actix_server::server", tracing::Level::INFO)
                );
                assert!(tracing::event_enabled!(target: "libp2p_swarm", tracing::Level::WARN));
                let own = tracing::event_enabled!(target: "actors::jobs", tracing::Level::DEBUG);
                assert_eq!(own, level == "debug");
            });
        }
    }

    /// Goal: no stranger writes into the log, whatever level an operator chose. Method: as above.
    #[test]
    fn malformed_requests_are_no_lines_of_the_log() {
        use tracing_subscriber::layer::SubscriberExt as _;
        use tracing_subscriber::registry;
        for (wanted, heard) in [
            (quiet("info").as_str(), false),
            ("trace", false),
            ("info,actix_http=warn", false),
            ("info,actix_http::h1::dispatcher=error", true),
        ] {
            tracing::subscriber::with_default(registry().with(guarded(wanted)), || {
                let found = tracing::event_enabled!(
                    target: "actix_http::h1::dispatcher", tracing::Level::ERROR
                );
                assert_eq!(found, heard, "{wanted}");
                assert!(tracing::event_enabled!(target: "actix_server", tracing::Level::WARN));
                assert!(tracing::event_enabled!(target: "palisade::run", tracing::Level::INFO));
            });
        }
    }
}
