//! One line for one effect.

use consensus::{Delivery, Effect, Outgoing};
use protocol::digest::BlockId;
use protocol::vote::{Certificate, VoteKind};

fn short(id: &BlockId) -> String {
    let text = id.to_string();
    text.get(..8).unwrap_or_default().to_owned()
}

fn message(message: &Outgoing) -> String {
    match message {
        Outgoing::Vote(vote) => {
            let vote = &vote.message;
            let kind = match vote.kind {
                VoteKind::Prevote => "prevote",
                VoteKind::Precommit => "precommit",
            };
            let block = vote.block.as_ref().map_or_else(|| "nil".to_owned(), short);
            format!("{kind:<10} {}/{} {block}", vote.height, vote.round)
        }
        Outgoing::Proposal(proposal, _) => {
            let proposal = &proposal.message;
            let pol = proposal
                .pol_round
                .map_or_else(String::new, |pol| format!(" pol {pol}"));
            let block = short(&proposal.block);
            format!(
                "{:<10} {}/{} {block}{pol}",
                "proposal", proposal.height, proposal.round
            )
        }
        Outgoing::Certificate(certificate) => {
            let kind = match certificate {
                Certificate::Polka(_) => "polka",
                Certificate::Round(_) => "round",
                Certificate::Commit(_) => "commit",
            };
            format!(
                "{kind:<10} {}/{}",
                certificate.height(),
                certificate.round()
            )
        }
    }
}

/// What an effect does, for people.
pub(crate) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::FetchBody { id, peer } => format!("fetches    {} from {peer:?}", short(id)),
        Effect::Build { height, round } => format!("builds     {height}/{round}"),
        Effect::Judge { height, id, .. } => format!("judges     {height} {}", short(id)),
        Effect::SetTimer(id, after) => format!("timer      {id:?} in {after:?}"),
        Effect::CancelTimer(id) => format!("no timer   {id:?}"),
        Effect::Wal {
            records,
            sign_mark,
            seq,
        } => {
            let mark = sign_mark.map(|mark| mark.point);
            format!(
                "logs       #{} {} records, mark {mark:?}",
                seq.0,
                records.len()
            )
        }
        Effect::Commit { certificate, .. } => {
            let (height, round) = (certificate.height, certificate.round);
            format!("commits    {height}/{round} {}", short(&certificate.block))
        }
        Effect::Broadcast {
            message: what,
            delivery,
            ..
        } => {
            let again = if *delivery == Delivery::Again {
                " again"
            } else {
                ""
            };
            format!("sends      {}{again}", message(what))
        }
        Effect::AskHeight { peer, height } => format!("asks       {peer:?} for {height}"),
        Effect::Contradiction(pair) => {
            format!(
                "accuses    {} at {}/{}",
                pair.signer(),
                pair.height(),
                pair.round()
            )
        }
        Effect::Freeze(conflict) => format!("freezes    {conflict:?}"),
        Effect::Halt(reason) => format!("halts      {reason}"),
    }
}
