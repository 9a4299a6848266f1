//! Storing a group: its records become as many transactions as the store's limits ask for, in order.
//!
//! A crash between two transactions of one group leaves a prefix. That is harmless: nothing of the group has been sent or
//! answered, keys are stored before the jobs they made, and loading repairs what a prefix leaves (see `loading`).

use dockmgr_core::ids::Epoch;

use crate::store::{self, Guard, Limits, Store, Write};

/// Stores all writes under the leader's guard.
///
/// Not cancel safe: dropping the future leaves open which of the writes happened.
pub(crate) async fn commit(store: Store, epoch: Epoch, writes: Vec<Write>) -> Result<(), store::Error> {
    for part in split(writes, store.limits()) {
        store.commit(part, Guard::leader(epoch)).await?;
    }
    Ok(())
}

/// Cuts writes into parts that fit, in order. A write that alone is too large makes a part of its own, which the store refuses.
fn split(writes: Vec<Write>, limits: Limits) -> Vec<Vec<Write>> {
    let mut parts: Vec<Vec<Write>> = Vec::new();
    let (mut ops, mut bytes) = (0, 0);
    for write in writes {
        let size = write.size();
        let fits = ops < limits.max_ops && bytes + size <= limits.max_bytes;
        match parts.last_mut() {
            Some(part) if fits => part.push(write),
            Some(_) | None => {
                parts.push(vec![write]);
                (ops, bytes) = (0, 0);
            }
        }
        ops += 1;
        bytes += size;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Key;

    #[test]
    fn writes_are_cut_in_order_by_count_and_by_size() {
        let write =
            |n: usize, size: usize| Write::put(Key::new(format!("k/{n:04}")).expect("valid"), vec![0; size]);
        let writes: Vec<Write> = (0..10).map(|n| write(n, if n == 4 { 10_000 } else { 10 })).collect();
        let limits = Limits { max_ops: 3, max_bytes: 5_000 };
        let parts = split(writes.clone(), limits);
        assert!(parts.iter().all(|part| part.len() <= 3 && !part.is_empty()));
        assert!(
            parts.iter().any(|part| part.len() == 1 && part[0].size() > 10_000),
            "the large one stands alone"
        );
        assert_eq!(parts.concat(), writes);
    }
}
