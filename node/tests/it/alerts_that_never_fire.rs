//! Goal: no alert watches a metric that no node has, and each leads to its runbook. The names are
//! read from the rules as shipped and looked up in what a running node serves.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::node::Node;
use crate::repository;

const RULES: &str = "deploy/prometheus/alerts.yml";

/// The metrics that the expressions of the rules name.
fn metrics_of(rules: &str) -> BTreeSet<String> {
    let expressions = rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("expr: "));
    let words = expressions.flat_map(|text| {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| word.starts_with("palisade_"))
    });
    words.map(str::to_owned).collect()
}

#[test]
fn alerts_name_metrics_that_nodes_have() {
    let wanted = metrics_of(&repository(RULES));
    assert!(wanted.len() > 20, "{wanted:?}");
    let node = Node::start();
    // A state is known once the first blocks have been looked at.
    let mut missing = wanted.clone();
    for _ in 0..300 {
        let text = node.scrape();
        missing.retain(|name| {
            !text
                .lines()
                .any(|line| line.starts_with(&format!("# TYPE {name} ")))
        });
        if missing.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(missing.is_empty(), "no node has {missing:?}");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn every_alert_has_its_runbook() {
    let rules = repository(RULES);
    let books = repository("docs/operations/runbooks.md");
    let field = |name: &str| -> Vec<String> {
        let fields = rules
            .lines()
            .map(|line| line.trim_start().trim_start_matches("- "));
        let found = fields.filter_map(|line| line.strip_prefix(name));
        found.map(|text| text.trim().to_owned()).collect()
    };
    let (alerts, urls) = (field("alert: Palisade"), field("runbook_url: "));
    assert_eq!(alerts.len(), urls.len());
    // promtool runs the cases; here, none may be missing.
    let cases = repository("deploy/prometheus/alerts_test.yml");
    for alert in &alerts {
        let case = format!("\n  - name: {alert}\n");
        assert!(cases.contains(&case), "{alert} has no case that fires it");
    }
    for (alert, url) in alerts.iter().zip(&urls) {
        let anchor = url.strip_prefix("docs/operations/runbooks.md#").unwrap();
        assert_eq!(anchor.replace('-', ""), alert.to_lowercase(), "{url}");
        let heading = format!("\n## {anchor}\n");
        assert!(books.contains(&heading), "{alert} has no section {anchor}");
    }
    assert_eq!(
        books.matches("\n## ").count(),
        alerts.len(),
        "a runbook without an alert"
    );
}
