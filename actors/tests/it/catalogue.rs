//! Goal: the page of messages says what the code says. Method: read both as text and compare rows.

type Row = (String, String, String, String);

/// Rows of the catalogue's source: the comment line before each variant, and the variant.
fn of_source(source: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut lines = source.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some((from, rest)) = line.strip_prefix("/// ").and_then(|l| l.split_once(" -> "))
        else {
            continue;
        };
        let Some((to, class)) = rest.split_once("; ") else {
            continue;
        };
        let variant = lines.peek().unwrap_or(&"");
        let mut words = variant
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty());
        assert_eq!(
            words.next(),
            Some(class),
            "class of {variant:?} and its comment"
        );
        let name = words.next().unwrap().to_owned();
        rows.push((from.to_owned(), to.to_owned(), name, class.to_owned()));
    }
    rows
}

fn of_page(page: &str) -> Vec<Row> {
    let table = page
        .split_once("| from | to |")
        .expect("the table of messages")
        .1;
    table
        .lines()
        .skip(2)
        .filter(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().trim_matches('`').to_owned());
            let mut next = || cells.next().expect("four cells");
            (next(), next(), next(), next())
        })
        .collect()
}

#[test]
fn the_page_of_messages_equals_the_catalogue() {
    let source = include_str!("../../src/catalogue.rs");
    let page = include_str!("../../../docs/messages.md");
    let (source, page) = (of_source(source), of_page(page));
    assert!(source.len() > 30, "the source was read");
    assert_eq!(source, page);
}

#[test]
fn a_changed_class_would_be_noticed() {
    let source = "/// api -> mempool; Ask\n        Ask Submit { tx: u8 },";
    let page =
        "| from | to | message | class |\n|---|---|---|---|\n| api | mempool | `Submit` | Shed |\n";
    assert_eq!(of_source(source).len(), 1);
    assert_ne!(of_source(source), of_page(page));
}
