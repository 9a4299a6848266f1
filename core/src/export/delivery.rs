//! One batch on its way, until nothing of it is left.
//!
//! ```text
//!   waiting documents --Taken, Delivered--> gone
//!      |  ^ \--Dead, or alone and Refused--> dead letter
//!      |  \--Later, Again: after a pause
//!      \--Refused, several: in two halves, so that in the end the guilty one is alone
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::{Answer, Document, Verdict};

/// A batch on its way.
#[derive(Debug)]
pub struct Delivery {
    groups: VecDeque<Vec<Document>>,
}

/// A document that a server will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The document.
    pub document: Document,
    /// What the server said.
    pub why: String,
}

/// What an answer changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Documents the server has now.
    pub delivered: u64,
    /// Documents that must be sent again.
    pub again: u64,
    /// Documents it will never take.
    pub dead: Vec<DeadLetter>,
    /// A pause is due before the next try; why.
    pub pause: Option<String>,
    /// How long the server asked for.
    pub after: Option<Duration>,
}

impl Delivery {
    /// Begins to deliver `documents`.
    pub fn new(documents: Vec<Document>) -> Self {
        Self { groups: [documents].into_iter().filter(|group| !group.is_empty()).collect() }
    }

    /// What to send next; `None` when nothing is left.
    pub fn next(&self) -> Option<&[Document]> {
        self.groups.front().map(Vec::as_slice)
    }

    /// Takes note of the answer to what [`Delivery::next`] gave.
    pub fn answered(&mut self, answer: Answer) -> Settled {
        let Some(mut sent) = self.groups.pop_front() else { return Settled::default() };
        let mut settled = Settled::default();
        match answer {
            Answer::Taken => settled.delivered = sent.len() as u64,
            Answer::Each(verdicts) if verdicts.len() == sent.len() => {
                let rest = judge(sent, verdicts, &mut settled);
                if !rest.is_empty() {
                    settled.again = rest.len() as u64;
                    settled.pause = Some("some documents could not be taken now".to_owned());
                    self.groups.push_front(rest);
                }
            }
            Answer::Each(_) => {
                settled.again = sent.len() as u64;
                settled.pause = Some("the answer is about another number of documents".to_owned());
                self.groups.push_front(sent);
            }
            Answer::Later { why, after } => {
                settled.again = sent.len() as u64;
                (settled.pause, settled.after) = (Some(why), after);
                self.groups.push_front(sent);
            }
            Answer::Refused { why } => match (sent.pop(), sent.len()) {
                (Some(document), 0) => settled.dead.push(DeadLetter { document, why }),
                (last, _) => {
                    sent.extend(last);
                    settled.again = sent.len() as u64;
                    let second = sent.split_off(sent.len() / 2);
                    self.groups.push_front(second);
                    self.groups.push_front(sent);
                }
            },
        }
        settled
    }
}

/// Sorts documents by their verdicts; those to be sent again come back.
fn judge(sent: Vec<Document>, verdicts: Vec<Verdict>, settled: &mut Settled) -> Vec<Document> {
    let mut rest = Vec::new();
    for (document, verdict) in sent.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Delivered => settled.delivered += 1,
            Verdict::Again => rest.push(document),
            Verdict::Dead(why) => settled.dead.push(DeadLetter { document, why }),
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::{About, DocumentId};
    use super::*;
    use crate::ids::AttemptId;
    use crate::log::Stream;
    use crate::time::WallTime;

    fn documents(count: u64) -> Vec<Document> {
        let attempt = AttemptId::from_parts(1, 0, 1).expect("valid");
        let about = Arc::new(About::default());
        let id = |offset| DocumentId::Line(attempt, Stream::Stdout, offset);
        (0..count).map(|offset| Document::line(id(offset), WallTime(0), Bytes::new(), &about)).collect()
    }

    fn offset(document: &Document) -> u64 {
        document.id.line().expect("a line").1
    }

    proptest! {
        /// A server that refuses whole requests because of some documents, judges each, or is away for a while.
        #[test]
        fn every_document_is_delivered_or_dead_and_dead_are_exactly_the_bad_ones(
            count in 0u64..40,
            bad in proptest::collection::btree_set(0u64..40, 0..5),
            moods in proptest::collection::vec(0u8..3, 200),
        ) {
            let mut delivery = Delivery::new(documents(count));
            let mut delivered: BTreeMap<u64, u32> = BTreeMap::new();
            let mut dead = Vec::new();
            let (mut told, mut moods) = (0, moods.into_iter());
            while let Some(sent) = delivery.next().map(<[Document]>::to_vec) {
                let is_bad = |document: &Document| bad.contains(&offset(document));
                let answer = match moods.next() {
                    Some(0) => Answer::none("away"),
                    Some(1) => {
                        let verdict = |(n, document): (usize, &Document)| match (is_bad(document), n % 3) {
                            (true, _) => Verdict::Dead("bad".to_owned()),
                            (false, 0) => Verdict::Again,
                            (false, _) => Verdict::Delivered,
                        };
                        Answer::Each(sent.iter().enumerate().map(verdict).collect())
                    }
                    Some(_) | None if sent.iter().any(is_bad) => Answer::Refused { why: "bad".to_owned() },
                    Some(_) | None => Answer::Taken,
                };
                if answer == Answer::Taken {
                    for document in &sent {
                        *delivered.entry(offset(document)).or_default() += 1;
                    }
                } else if let Answer::Each(verdicts) = &answer {
                    let taken = sent.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Delivered);
                    for (document, _) in taken {
                        *delivered.entry(offset(document)).or_default() += 1;
                    }
                }
                let settled = delivery.answered(answer);
                told += settled.delivered;
                dead.extend(settled.dead.into_iter().map(|letter| offset(&letter.document)));
            }
            dead.sort_unstable();
            let (expected_dead, good): (Vec<u64>, Vec<u64>) = (0..count).partition(|n| bad.contains(n));
            prop_assert_eq!(dead, expected_dead);
            prop_assert_eq!(told, good.len() as u64);
            prop_assert_eq!(delivered, good.into_iter().map(|n| (n, 1)).collect());
        }
    }

    #[test]
    fn an_answer_about_another_number_of_documents_settles_nothing() {
        let mut delivery = Delivery::new(documents(2));
        let settled = delivery.answered(Answer::Each(vec![Verdict::Delivered]));
        assert!(settled.pause.is_some() && settled.delivered == 0);
        assert_eq!(delivery.next().map(<[Document]>::len), Some(2));
    }
}
