//! Numbers of tables: seven bits a byte, the lowest first, the top bit set where more follow.

use crate::Corrupt;

/// Appends `number`.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends a length or a count.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put(out, len as u64);
}

/// Appends the way from `before` to `now` such that small steps in both directions are short.
pub(crate) fn put_step(out: &mut Vec<u8>, before: u64, now: u64) {
    let step = now.wrapping_sub(before).cast_signed();
    put(out, ((step << 1) ^ (step >> 63)).cast_unsigned());
}

/// The rest of a table, read field by field.
#[derive(Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn number(&mut self) -> Result<u64, Corrupt> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(Corrupt::Form);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Corrupt::Form)
    }

    /// A number of at most 32 bits.
    pub(crate) fn short(&mut self) -> Result<u32, Corrupt> {
        u32::try_from(self.number()?).map_err(|_| Corrupt::Form)
    }

    /// A count or length of at most `most`.
    pub(crate) fn len(&mut self, most: usize) -> Result<usize, Corrupt> {
        usize::try_from(self.number()?).ok().filter(|len| *len <= most).ok_or(Corrupt::Length)
    }

    /// Where a step of [`put_step`] leads from `before`.
    pub(crate) fn step(&mut self, before: u64) -> Result<u64, Corrupt> {
        let coded = self.number()?;
        let step = (coded >> 1).cast_signed() ^ -(coded & 1).cast_signed();
        Ok(before.wrapping_add(step.cast_unsigned()))
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Corrupt> {
        let (field, rest) = self.0.split_at_checked(len).ok_or(Corrupt::Form)?;
        self.0 = rest;
        Ok(field)
    }

    /// A number of four bytes.
    pub(crate) fn fixed(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of eight bytes.
    pub(crate) fn fixed_long(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_le_bytes)
    }

    /// As many bytes as the type has.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(Corrupt::Form)?;
        self.0 = rest;
        Ok(*field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_and_a_step_read_as_they_were_written(number: u64, before: u64) {
            let mut out = Vec::new();
            put(&mut out, number);
            put_step(&mut out, before, number);
            let mut fields = Fields(&out);
            prop_assert_eq!(fields.number(), Ok(number));
            prop_assert_eq!(fields.step(before), Ok(number));
            prop_assert!(fields.0.is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            let mut fields = Fields(&bytes);
            while fields.number().is_ok() {}
        }
    }

    #[test]
    fn a_small_step_back_takes_one_byte() {
        let mut out = Vec::new();
        put_step(&mut out, 1000, 950);
        assert_eq!(out.len(), 1);
    }
}
