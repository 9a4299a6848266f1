//! Several segments become one.
//!
//! ```text
//!   planned --write--> file without a name --upload--> at the place, in no catalogue --compare--> the catalogue has it,
//!   and the inputs own nothing any more --a while later--> the inputs go
//! ```
//!
//! A crash leaves nothing, or the new segment beside its inputs: the next start takes the newest, compares the older ones
//! with it (`settle`) and removes them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Seek as _};
use std::sync::Arc;

use dockmgr_archive::{Segment, Writer};
use dockmgr_core::ids::Epoch;
use dockmgr_support::error_chain::Chain;

use super::compare::totals;
use crate::logs::Error;
use crate::logs::error::run;
use crate::logs::sealed::{Input, Stored};
use crate::logs::store::Shared;

/// Merges once, if anything is worth it.
pub(super) async fn merge(shared: &Arc<Shared>, epoch: Epoch) -> Result<(), Error> {
    let this = Arc::clone(shared);
    let Some((file, inputs)) = run(move || write(&this)).await? else { return Ok(()) };
    let fresh = shared.sealed.store(epoch, file).await?;
    let inputs = Arc::new(inputs);
    let compared = {
        let (this, inputs, segment) = (Arc::clone(shared), Arc::clone(&inputs), Arc::clone(&fresh.segment));
        run(move || compare(&this, &inputs, &segment)).await
    };
    if !matches!(compared, Ok(true)) {
        shared.sealed.discard(&fresh).await?;
        return compared.map(drop);
    }
    // The catalogue of whoever leads now has it: that one looked at the place, or looks again.
    if *shared.term.borrow() == Some(epoch) {
        let numbers: Vec<_> = inputs.iter().map(|input| input.number).collect();
        shared.sealed.adopt_merged(&fresh, &numbers);
        tracing::debug!(inputs = numbers.len(), segment = %fresh.name(), "segments merged");
    }
    Ok(())
}

/// Writes what counts of the segments that are planned to a file; with what it took.
fn write(shared: &Shared) -> Result<Option<(File, Vec<Input>)>, Error> {
    let planned = shared.sealed.planned();
    if planned.is_empty() {
        return Ok(None);
    }
    let file = tempfile::tempfile_in(&shared.root).map_err(Error::Spool)?;
    let mut writer = Writer::new(BufWriter::new(file)).map_err(Error::Segment)?;
    let mut inputs = Vec::new();
    for number in planned {
        let Some(input) = shared.sealed.input(number)? else { continue };
        let keep = |attempt| input.attempts.contains(&attempt);
        // The plan counts little: what does not fit is planned again.
        if !inputs.is_empty() && !writer.fits(&input.segment, keep) {
            break;
        }
        match writer.merge(&input.segment, keep) {
            Ok(()) => inputs.push(input),
            Err(error) if error.is_retryable() => return Err(Error::Segment(error)),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "a segment cannot be merged and is left as it is");
                shared.sealed.spoil(number);
                return Ok(None);
            }
        }
    }
    match &inputs[..] {
        [] => return Ok(None),
        // Nothing fits beside it, and nothing was deleted in it.
        [only] if only.attempts.len() == only.segment.attempts().count() => {
            shared.sealed.fill(only.number);
            return Ok(None);
        }
        _ => {}
    }
    let finished = writer.finish().map_err(Error::Segment)?;
    let mut file = finished.out.into_inner().map_err(|error| Error::Spool(error.into_error()))?;
    file.rewind().map_err(Error::Spool)?;
    Ok(Some((file, inputs)))
}

/// Whether the stored segment has all that counts of the inputs, byte for byte.
fn compare(shared: &Shared, inputs: &[Input], segment: &Segment<Stored>) -> Result<bool, Error> {
    let all: BTreeSet<_> = inputs.iter().flat_map(|input| input.attempts.iter().copied()).collect();
    let merged = totals(segment, &all).map_err(Error::Segment)?;
    let mut same = 0;
    for input in inputs {
        let before = totals(&input.segment, &input.attempts).map_err(Error::Segment)?;
        if before.iter().any(|(attempt, total)| total.is_none() || merged.get(attempt) != Some(total)) {
            tracing::error!("merged output differs from what it was made of, which stays");
            shared.sealed.spoil(input.number);
            return Ok(false);
        }
        same += before.len();
    }
    Ok(same == all.len())
}
