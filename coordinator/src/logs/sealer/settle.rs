//! What two segments have: as a crash in the middle of a merge leaves it, or a leader that was deposed without knowing it.
//!
//! The newer one counts. The older one goes when all that it has was found to be the same there; where the newer one
//! cannot be read, the older one counts again and nothing is removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use dockmgr_support::error_chain::Chain;

use super::compare::totals;
use crate::logs::Error;
use crate::logs::error::run;
use crate::logs::sealed::Input;
use crate::logs::store::Shared;

/// Compares all that is there twice.
pub(super) async fn settle(shared: &Arc<Shared>) -> Result<(), Error> {
    loop {
        let this = Arc::clone(shared);
        let settled = run(move || {
            let Some(older) = this.sealed.doubled()? else { return Ok(true) };
            settle_one(&this, &older).map(|()| false)
        });
        if settled.await? {
            return Ok(());
        }
    }
}

/// Compares one segment with the newer ones that have the same. Whatever comes out, it is not unclear any more.
fn settle_one(shared: &Shared, older: &Input) -> Result<(), Error> {
    let mut clear = BTreeSet::new();
    for (number, attempts) in shared.sealed.newer(&older.attempts, older.number) {
        let Some(newer) = shared.sealed.input(number)? else { continue };
        let before = match totals(&older.segment, &attempts) {
            Ok(before) => before,
            Err(error) if error.is_retryable() => return Err(Error::Segment(error)),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "a segment that another one replaces is damaged and stays");
                continue;
            }
        };
        match totals(&newer.segment, &attempts) {
            Ok(now) => {
                let same = before
                    .into_iter()
                    .filter(|(attempt, total)| total.is_some() && now.get(attempt) == Some(total));
                clear.extend(same.map(|(attempt, _)| attempt));
            }
            Err(error) if error.is_retryable() => return Err(Error::Segment(error)),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "a segment is damaged; the one it was made of is used");
                shared.sealed.give_back(&attempts, older.number);
                shared.sealed.spoil(number);
                clear.extend(attempts);
            }
        }
    }
    shared.sealed.undouble(older.number, &clear);
    if older
        .attempts
        .iter()
        .any(|attempt| !clear.contains(attempt) && !shared.sealed.is_deleted(attempt.job()))
    {
        tracing::error!("two segments have the same output, and it is not the same; both stay");
        shared.sealed.spoil(older.number);
    }
    Ok(())
}
