//! Logging: stderr, one event a line, stable event names.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Installs the subscriber of this process.
pub(crate) fn install(format: LogFormat, filter: &str, verbose: u8) {
    let wanted = std::env::var("PALISADE_LOG").unwrap_or_else(|_| match verbose {
        0 => filter.to_owned(),
        1 => "debug".to_owned(),
        _ => "trace".to_owned(),
    });
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
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
