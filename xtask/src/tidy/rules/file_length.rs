//! `file-length`: a file that grows is asking which two things it holds.

use super::Found;
use crate::Result;
use crate::tidy::report::Violation;
use crate::tidy::tree::Tree;

const WORTH_A_THOUGHT: usize = 400;
const MOST: usize = 500;
const MOST_IN_TESTS: usize = 800;

pub(super) fn check(tree: &Tree, found: Found<'_>) -> Result {
    for file in tree.rust_files() {
        let most = if file.is_in_directory("tests") { MOST_IN_TESTS } else { MOST };
        let lines = file.lines().count();
        if lines > most {
            let message = format!("{lines} lines, at most {most}: split it by the two things it holds");
            found(Violation::new(&file.path, most + 1, message));
        } else if lines > WORTH_A_THOUGHT {
            let message = format!("{lines} lines: which two things does it hold?");
            found(Violation::note(&file.path, WORTH_A_THOUGHT + 1, message));
        }
    }
    Ok(())
}
