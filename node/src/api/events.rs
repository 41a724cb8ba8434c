//! The chain's events as a stream that resumes anywhere.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures::stream;
use protocol::events::{Domain, Event, Value as Field};
use protocol::units::Height;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::answer::Answer;
use super::call::Call;
use super::shared::Shared;
use crate::history::Place;
use crate::problem::Problem;

/// Silence is broken by a comment this often.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// An event's fields as JSON. Amounts are decimal strings everywhere.
pub(crate) fn fields(event: &Event) -> Value {
    let mut value = json!({"name": event.name(), "domain": event.domain().name()});
    for (name, field) in event.fields() {
        value[name] = field_json(name, field);
    }
    value
}

fn field_json(name: &str, field: Field) -> Value {
    const AMOUNTS: [&str; 4] = ["amount", "bonded", "burned", "self_bond"];
    match field {
        Field::Number(number) if AMOUNTS.contains(&name) => json!(number.to_string()),
        Field::Number(number) => json!(number),
        Field::Text(text) => json!(text),
        Field::Null => Value::Null,
        Field::List(items) => items
            .into_iter()
            .map(|item| field_json(name, item))
            .collect(),
    }
}

/// An event with its place, as the stream and the job routes show it.
pub(crate) fn happened_json(place: Place, event: &Event) -> Value {
    let mut value = fields(event);
    value["schema"] = json!("palisade.event/1");
    value["height"] = json!(place.height.0);
    value["index"] = json!(place.index);
    value
}

struct Stream {
    shared: Arc<Shared>,
    heights: watch::Receiver<Height>,
    domains: Option<BTreeSet<&'static str>>,
    /// Everything up to here has been sent.
    sent: Height,
    /// Of the height after that, so many events are not wanted again.
    skip: u32,
    waiting: VecDeque<Bytes>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.buckets.close_stream();
    }
}

/// GET /v1/events
pub(crate) fn stream(shared: &Arc<Shared>, call: &Call) -> Result<Answer, Problem> {
    let domains = domains_of(call)?;
    if !shared.buckets.open_stream() {
        return Err(Problem::new("api.overloaded", "all streams are taken"));
    }
    let newest = shared.snapshot().height;
    let (sent, skip) = match call.last_event_id.as_deref().map(place_of) {
        // Nothing happens at height 0: whoever names it wants all there is.
        Some(Some(place)) if place.height == Height::ZERO => (Height::ZERO, 0),
        Some(Some(place)) => (place.height.previous(), place.index.saturating_add(1)),
        Some(None) => {
            shared.buckets.close_stream();
            return Err(Problem::new(
                "api.bad_request",
                "Last-Event-ID is <height>-<index>",
            ));
        }
        None => (newest, 0),
    };
    let mut state = Stream {
        heights: shared.node.feed().watch(),
        shared: shared.clone(),
        domains,
        sent,
        skip,
        waiting: VecDeque::from([Bytes::from_static(b": palisade events\n\n")]),
    };
    state.note_gap();
    let body = stream::unfold(state, |mut state| async move {
        let next = state.next().await?;
        Some((Ok::<_, actix_web::Error>(next), state))
    });
    let response = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .streaming(body);
    Ok(Answer::Stream(response))
}

fn domains_of(call: &Call) -> Result<Option<BTreeSet<&'static str>>, Problem> {
    let Some(topics) = call.query.get("topics").filter(|topics| !topics.is_empty()) else {
        return Ok(None);
    };
    let domain = |name: &str| {
        let known = Domain::ALL
            .iter()
            .map(|domain| domain.name())
            .find(|known| *known == name);
        known.ok_or_else(|| Problem::new("api.bad_request", format!("no topic {name}")))
    };
    topics
        .split(',')
        .map(domain)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn place_of(id: &str) -> Option<Place> {
    let (height, index) = id.split_once('-')?;
    Some(Place {
        height: Height(height.parse().ok()?),
        index: index.parse().ok()?,
    })
}

impl Stream {
    /// Says that what was asked for is gone, and goes on with what is there.
    fn note_gap(&mut self) {
        let Some(oldest) = self.shared.node.feed().oldest() else {
            return;
        };
        if self.sent.next() < oldest {
            let data = json!({"from": self.sent.next().0, "to": oldest.previous().0});
            self.waiting
                .push_back(Bytes::from(format!("event: gap\ndata: {data}\n\n")));
            self.sent = oldest.previous();
            self.skip = 0;
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.waiting.pop_front() {
                return Some(bytes);
            }
            self.heights.borrow_and_update();
            self.fill();
            if !self.waiting.is_empty() {
                continue;
            }
            match tokio::time::timeout(COMMENT_EVERY, self.heights.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }

    fn fill(&mut self) {
        self.note_gap();
        for entry in self.shared.node.feed().after(self.sent) {
            for (index, event) in (0_u32..).zip(entry.events.iter()) {
                let domain = event.domain().name();
                let wanted = self
                    .domains
                    .as_ref()
                    .is_none_or(|wanted| wanted.contains(domain));
                if wanted && index >= self.skip {
                    let place = Place {
                        height: entry.height,
                        index,
                    };
                    let data = happened_json(place, event);
                    let text = format!(
                        "id: {}-{index}\nevent: {domain}\ndata: {data}\n\n",
                        entry.height
                    );
                    self.waiting.push_back(Bytes::from(text));
                }
            }
            self.sent = entry.height;
            self.skip = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_or_refused() {
        assert_eq!(
            place_of("12-3"),
            Some(Place {
                height: Height(12),
                index: 3
            })
        );
        for bad in ["", "12", "-1-2", "a-b", "1-2-3", "1-"] {
            assert_eq!(place_of(bad), None, "{bad}");
        }
    }
}
