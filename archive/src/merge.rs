//! Taking over what other segments have: many small ones become one, and what is no longer wanted stays behind.

use std::collections::BTreeSet;
use std::io::Write;

use dockmgr_core::ids::AttemptId;

use crate::frame::Builder;
use crate::writer::ENDS;
use crate::{Error, Section, Segment, Source, Writer, limits, section};

impl<W: Write> Writer<W> {
    /// Adds what `segment` has of the attempts that `keep` names. After an error the writer is worth nothing, but for
    /// [`Error::Repeated`], and [`Error::Full`] where [`Writer::fits`] would have told it.
    ///
    /// Frames that are kept whole and large enough are copied as they are stored, the others are made anew, so that
    /// what many small segments have ends up in few large frames.
    pub fn merge<S: Source>(
        &mut self,
        segment: &Segment<S>,
        keep: impl Fn(AttemptId) -> bool,
    ) -> Result<(), Error> {
        self.note_merged(segment, &keep)?;
        for (number, entry) in segment.frames().iter().enumerate() {
            let kept = entry.sections.iter().filter(|section| keep(section.attempt)).count();
            if kept == 0 {
                continue;
            }
            if kept == entry.sections.len() && entry.raw as usize >= limits::FRAME_TARGET / 2 {
                self.write_frame(Builder::default())?;
                self.copy_stored(segment, number)?;
                continue;
            }
            let frame = segment.frame(number)?;
            for part in frame.parts().iter().filter(|part| keep(part.section.attempt)) {
                if !self.frame.fits(part) {
                    self.write_frame(Builder::default())?;
                }
                self.output += part.section.output();
                self.frame.append(part);
            }
        }
        Ok(())
    }

    /// Whether there is room for what `segment` has of the attempts that `keep` names.
    pub fn fits<S: Source>(&self, segment: &Segment<S>, keep: impl Fn(AttemptId) -> bool) -> bool {
        let ends = ends(segment, &keep);
        let count = sections(segment, keep).count();
        (self.ends == 0 || self.ends + ends <= ENDS) && self.has_room(count, segment.frames().len())
    }

    /// Takes note of the attempts that come, if all of them are new and there is room.
    fn note_merged<S: Source>(
        &mut self,
        segment: &Segment<S>,
        keep: impl Fn(AttemptId) -> bool,
    ) -> Result<(), Error> {
        if !self.fits(segment, &keep) {
            return Err(Error::Full);
        }
        let new: BTreeSet<AttemptId> = sections(segment, &keep).map(|section| section.attempt).collect();
        if let Some(known) = new.iter().find(|attempt| self.begun.contains(attempt)) {
            return Err(Error::Repeated(*known));
        }
        self.begun.extend(new);
        self.ends += ends(segment, keep);
        Ok(())
    }

    /// Copies a frame, and what its segment's index says of it.
    fn copy_stored<S: Source>(&mut self, segment: &Segment<S>, number: usize) -> Result<(), Error> {
        let entry = &segment.frames()[number];
        let (_, stored) = segment.stored_frame(number)?;
        let filter = segment.filter(number)?;
        self.count_frame(entry.sections.len())?;
        self.out.write_all(&stored).map_err(Error::io("write a frame"))?;
        self.output += entry.output();
        self.directory.push(entry.clone());
        self.filters.extend_from_slice(filter.as_bytes());
        Ok(())
    }
}

/// About what the ends of what is kept take in a directory.
fn ends<S: Source>(segment: &Segment<S>, keep: impl Fn(AttemptId) -> bool) -> usize {
    sections(segment, keep).filter_map(|section| section.end.as_ref()).map(section::weight).sum()
}

fn sections<S: Source>(
    segment: &Segment<S>,
    keep: impl Fn(AttemptId) -> bool,
) -> impl Iterator<Item = &Section> {
    let all = segment.frames().iter().flat_map(|entry| &entry.sections);
    all.filter(move |section| keep(section.attempt))
}
