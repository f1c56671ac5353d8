//! `cargo xtask walkthrough`: what the READMEs tell a newcomer to write, in new projects outside of this workspace.

mod emulator;
mod readme;

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::cargo::{cargo, stdout_of, target_directory, timed, workspace_root};
use emulator::Emulator;

/// A project as a newcomer makes it: a manifest, one source file as it stands in a README, and what that wants beside it.
struct Project {
    name: &'static str,
    dependencies: String,
    main: String,
    /// Files beside `Cargo.toml`.
    files: Vec<(&'static str, Vec<u8>)>,
}

/// How to run it, and the line it must print.
struct Run {
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
    expected: &'static str,
}

/// Makes the projects, builds and runs them.
///
/// # Errors
/// A README has no such program, it does not build, or it prints something else.
pub fn run() -> Result {
    let root = workspace_root()?;
    let directory = tempfile::tempdir()?;
    // The one of this workspace, so that a newcomer's build takes seconds here.
    let target = target_directory(&root)?;
    let emulator = Emulator::start(&root, &target)?;
    for (project, run) in [facade(&root, &emulator)?, codec(&root)?, session(&root, &emulator)?] {
        let (outcome, seconds) = timed(|| walk(&root, directory.path(), &target, &project, &run));
        outcome.map_err(|error| format!("{}: {error}", project.name))?;
        println!("ok     {:<12} {seconds:>6.1} s  {}", project.name, run.expected);
    }
    Ok(())
}

/// The program at the top of the README, its `device.toml` too; the environment leads it to the emulator.
fn facade(root: &Path, emulator: &Emulator) -> Result<(Project, Run)> {
    let readme = read(root, "README.md")?;
    let program = readme::block(&readme, "rust", "#[tokio::main]")?;
    let settings = readme::block(&readme, "toml", "endpoint = ")?;
    let dependencies = readme::block(&readme, "toml", "[dependencies]")?;
    let project = Project {
        name: "facade",
        dependencies: readme::absolute_paths(&dependencies, root),
        main: program,
        files: vec![
            ("device.toml", settings.into_bytes()),
            ("device.pem.crt", fs::read(&emulator.certificate)?),
            ("private.pem.key", fs::read(&emulator.key)?),
        ],
    };
    let variables = vec![
        ("AWS_IOT_ENDPOINT", "localhost".to_owned()),
        ("AWS_IOT_PORT", emulator.port.to_string()),
        ("AWS_IOT_ROOT_CA", emulator.ca.display().to_string()),
    ];
    Ok((project, Run { arguments: Vec::new(), variables, expected: "sdk/test/Rust: hello" }))
}

/// The program of the codec's README, with nothing but the codec and `bytes`.
fn codec(root: &Path) -> Result<(Project, Run)> {
    let program = readme::block(&read(root, "crates/mqtt-codec/README.md")?, "rust", "fn main()")?;
    let path = root.join("crates/mqtt-codec");
    let dependencies = format!("[dependencies]\nbytes = \"1\"\nmqtt-codec = {{ path = {path:?} }}\n");
    let project = Project { name: "codec", dependencies, main: program, files: Vec::new() };
    Ok((project, Run { arguments: Vec::new(), variables: Vec::new(), expected: "sensor/1: 4 bytes" }))
}

/// The program of the session's README, which has a transport of its own, with nothing else of ours.
fn session(root: &Path, emulator: &Emulator) -> Result<(Project, Run)> {
    let program = readme::block(&read(root, "crates/iot-session/README.md")?, "rust", "from_fn(")?;
    let path = root.join("crates/iot-session");
    let dependencies = format!(
        "[dependencies]\niot-session = {{ path = {path:?} }}\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"net\", \"rt-multi-thread\"] }}\n"
    );
    let project = Project { name: "session", dependencies, main: program, files: Vec::new() };
    let arguments = vec![format!("127.0.0.1:{}", emulator.plain_port)];
    Ok((project, Run { arguments, variables: Vec::new(), expected: "greetings/world: 5 bytes" }))
}

fn walk(root: &Path, directory: &Path, target: &Path, project: &Project, run: &Run) -> Result {
    let home = directory.join(project.name);
    fs::create_dir_all(home.join("src"))?;
    let package = format!("walkthrough-{}", project.name);
    let manifest = format!(
        "[package]\nname = {package:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n{}\n[workspace]\n",
        project.dependencies
    );
    fs::write(home.join("Cargo.toml"), manifest)?;
    fs::write(home.join("src/main.rs"), &project.main)?;
    for (name, content) in &project.files {
        fs::write(home.join(name), content)?;
    }
    // The versions that everything else here is tested with, whose builds are there already.
    fs::copy(root.join("Cargo.lock"), home.join("Cargo.lock"))?;
    let mut build = cargo(&home);
    build.args(["build", "--quiet"]).env("CARGO_TARGET_DIR", target);
    // Those of this run of xtask are not the newcomer's.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        build.env_remove(name);
    }
    stdout_of(build)?;
    let program = target.join("debug").join(format!("{package}{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command
        .current_dir(&home)
        .args(&run.arguments)
        .envs(run.variables.iter().map(|(name, value)| (name, value)));
    let said = stdout_of(command)?;
    if said.trim_end() == run.expected {
        Ok(())
    } else {
        Err(format!("it should print {:?} and printed {said:?}", run.expected).into())
    }
}

fn read(root: &Path, name: &str) -> Result<String> {
    fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}").into())
}
