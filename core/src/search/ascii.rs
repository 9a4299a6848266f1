//! What an expression means for ASCII text: most output is that, and the tables for it are small.
//!
//! A class of all letters of all scripts has thousands of ranges and hundreds of states; its part in ASCII has two ranges.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition};

/// The expression for ASCII text, and whether it is right for that alone.
pub(super) fn of(hir: &Hir) -> (Hir, bool) {
    let mut is_ascii = false;
    (reduced(hir, &mut is_ascii), is_ascii)
}

fn reduced(hir: &Hir, is_ascii: &mut bool) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(Class::Bytes(_)) => hir.clone(),
        HirKind::Class(Class::Unicode(class)) => {
            let mut ascii = class.clone();
            ascii.intersect(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\x7f')]));
            *is_ascii |= ascii != *class;
            let bytes = ascii.to_byte_class().expect("a class within ASCII is one of bytes");
            Hir::class(Class::Bytes(bytes))
        }
        HirKind::Look(look) => {
            let ascii = of_look(*look);
            *is_ascii |= ascii != *look;
            Hir::look(ascii)
        }
        HirKind::Repetition(repetition) => {
            let sub = Box::new(reduced(&repetition.sub, is_ascii));
            Hir::repetition(Repetition { sub, ..*repetition })
        }
        HirKind::Capture(capture) => reduced(&capture.sub, is_ascii),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(|part| reduced(part, is_ascii)).collect()),
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.iter().map(|part| reduced(part, is_ascii)).collect())
        }
    }
}

fn of_look(look: Look) -> Look {
    match look {
        Look::WordUnicode => Look::WordAscii,
        Look::WordUnicodeNegate => Look::WordAsciiNegate,
        Look::WordStartUnicode => Look::WordStartAscii,
        Look::WordEndUnicode => Look::WordEndAscii,
        Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
        Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
        Look::Start
        | Look::End
        | Look::StartLF
        | Look::EndLF
        | Look::StartCRLF
        | Look::EndCRLF
        | Look::WordAscii
        | Look::WordAsciiNegate
        | Look::WordStartAscii
        | Look::WordEndAscii
        | Look::WordStartHalfAscii
        | Look::WordEndHalfAscii => look,
    }
}
