//! What a README shows.

use std::path::Path;

use crate::Result;

/// The first fenced block of this language that has these words, without the lines that rustdoc hides.
///
/// # Errors
/// There is none.
pub(super) fn block(text: &str, language: &str, words: &str) -> Result<String> {
    let fence = format!("```{language}");
    let mut lines = text.lines();
    while lines.by_ref().any(|line| line.split(',').next() == Some(&fence)) {
        let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if code.iter().any(|line| line.contains(words)) {
            let is_hidden = |line: &&&str| language == "rust" && (**line == "#" || line.starts_with("# "));
            let shown: Vec<&str> = code.iter().filter(|line| !is_hidden(line)).copied().collect();
            return Ok(shown.join("\n") + "\n");
        }
    }
    Err(format!("no block {fence} with {words:?}").into())
}

/// The same dependencies, from anywhere.
pub(super) fn absolute_paths(dependencies: &str, root: &Path) -> String {
    dependencies.replace("path = \"", &format!("path = \"{}/", root.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# x\n```toml\na = 1\n```\n\n```rust,no_run\nother();\n```\n```rust,no_run\n# hidden\nfn main() {}\n#[shown]\n```\n";

    #[test]
    fn a_block_is_found_by_its_language_and_its_words() {
        assert_eq!(block(README, "rust", "fn main").unwrap(), "fn main() {}\n#[shown]\n");
        assert_eq!(block(README, "toml", "a =").unwrap(), "a = 1\n");
        assert!(block(README, "toml", "b =").unwrap_err().to_string().contains("```toml"));
        assert!(block(README, "rus", "fn main").is_err());
    }

    #[test]
    fn paths_begin_at_the_root() {
        let given = "aws-iot = { path = \"crates/aws-iot\" }";
        assert_eq!(absolute_paths(given, Path::new("/r")), "aws-iot = { path = \"/r/crates/aws-iot\" }");
    }
}
