//! Plain files: every record of each is read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use dockmgr_core::ids::AttemptId;
use dockmgr_core::log::Scanner;
use dockmgr_support::error_chain::Chain;

use super::Problem;
use crate::logs::{Error, layout};

/// Bytes read at once.
const READ: u64 = 1024 * 1024;
/// What the names of bytes end in that a coordinator found damaged and set aside.
const ASIDE: &str = ".corrupt";

/// Reads all plain files below `root`: how many there are, and what is wrong. Blocks.
pub(super) fn check(root: &Path) -> Result<(usize, Vec<Problem>), Error> {
    let (mut files, mut problems) = (0, Vec::new());
    for folder in layout::job_folders(root)? {
        let Some(job) = layout::job_of(&folder) else { continue };
        for shard in layout::entries(&folder)? {
            for path in layout::entries(&shard)? {
                let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                if name.ends_with(ASIDE) {
                    problems.push(Problem::new(name, "damaged bytes that were set aside"));
                    continue;
                }
                let Some(parsed) = layout::Name::parse(job, &path) else { continue };
                files += 1;
                if let Some(why) = look(&path, parsed.attempt)? {
                    problems.push(Problem { attempts: vec![parsed.attempt], ..Problem::new(name, why) });
                }
            }
        }
    }
    Ok((files, problems))
}

/// What is wrong with a file. An entry that is not whole at its end is not: it is being written, or a crash interrupted that.
fn look(path: &Path, attempt: AttemptId) -> Result<Option<String>, Error> {
    let mut file = match File::open(path) {
        // It was sealed, or deleted, meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(Error::io("open", path))?,
    };
    let len = file.metadata().map_err(Error::io("inspect", path))?.len();
    let mut scanner = Scanner::from_start(attempt);
    while scanner.fed_to() < len {
        let mut bytes = Vec::new();
        let read = file.by_ref().take(READ).read_to_end(&mut bytes);
        if let Err(error) = read {
            return Ok(Some(format!("behind byte {}: {}", scanner.fed_to(), Chain(&error))));
        }
        if bytes.is_empty() {
            break;
        }
        scanner.push(&bytes);
        loop {
            match scanner.next_entry() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(corrupt) => return Ok(Some(format!("at byte {}: {corrupt}", scanner.position()))),
            }
        }
    }
    Ok(None)
}
