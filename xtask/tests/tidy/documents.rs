//! `private-paths` and `links`.

use crate::fixture::Fixture;

const GUIDE: &str = "docs/guide.md";

fn appended(path: &str, text: &str) -> (Fixture, usize) {
    let mut fixture = Fixture::clean();
    let line = fixture.append(path, &format!("{text}\n"));
    (fixture, line)
}

#[test]
fn no_text_names_a_path_of_one_machine() {
    for directory in ["work", "root", "home", "tmp"] {
        for text in
            [format!("/{directory}/x"), format!("# see \"/{directory}/x\""), format!("file:///{directory}/x")]
        {
            println!("{text}");
            let (fixture, line) = appended(GUIDE, &text);
            fixture.assert_one("private-paths", GUIDE, line);
        }
    }
    let mut fixture = Fixture::clean();
    let line = fixture.append("crates/iot-session/src/lib.rs", &format!("// /{}/x\n", "root"));
    fixture.assert_one("private-paths", "crates/iot-session/src/lib.rs", line);
}

#[test]
fn a_part_of_a_longer_path_names_no_machine() {
    for directory in ["work", "root", "home", "tmp"] {
        for text in [
            format!("frame/{directory}/x"),
            format!("https://example.com/{directory}/x"),
            format!("/{directory}"),
        ] {
            println!("{text}");
            appended(GUIDE, &text).0.assert_clean();
        }
    }
}

#[test]
fn a_workflow_may_use_the_temporary_directory_of_its_machine() {
    let mut fixture = Fixture::clean();
    fixture.write(".github/workflows/ci.yml", &format!("run: ls /{}/x\n", "tmp"));
    fixture.assert_clean();
    fixture.write(".ci/run", &format!("ls /{}/x\n", "tmp"));
    fixture.assert_one("private-paths", ".ci/run", 1);
}

#[test]
fn no_text_names_an_issue_by_its_number() {
    for word in ["issue", "Issues", "ISSUE"] {
        let (fixture, line) = appended(GUIDE, &format!("Fixed in {word} {}12.", '#'));
        fixture.assert_one("private-paths", GUIDE, line);
    }
    appended(GUIDE, "Open an issue. # 12").0.assert_clean();
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for text in [
        "[a](gone.md)",
        "[a](../crates/gone)",
        "[ok](https://example.com) and [a](gone.md#part)",
        "[`code`](gone.md)",
        "![image](gone.png \"title\")",
        "[a]: gone.md",
        "[a](/gone.md)",
        "[a](<gone.md>)",
    ] {
        println!("{text}");
        for path in [GUIDE, "crates/mqtt-codec/README.md", "README.md"] {
            let (fixture, line) = appended(path, text);
            fixture.assert_one("links", path, line);
        }
    }
}

#[test]
fn what_leads_elsewhere_or_is_code_is_no_relative_link() {
    for text in [
        "[a](#part)",
        "[a](https://example.com/gone.md)",
        "[a](mailto:somebody@example.com)",
        "[a](crate::Item)",
        "`[a](gone.md)`",
        "```\n[a](gone.md)\n```",
        "[a](/README.md)",
        "[a](../docs)",
        "a [x] b: gone.md",
    ] {
        println!("{text}");
        appended(GUIDE, text).0.assert_clean();
    }
}
