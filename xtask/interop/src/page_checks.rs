//! The emulator's status page in a real browser without a window.

use std::path::PathBuf;
use std::process::Stdio;

use aws_iot::{Client, Material, Message, QoS};
use iot_emulator::Emulator;
use iot_emulator::shadow::ShadowId;
use tempfile::TempDir;
use tokio::process::Command;

use crate::report::{Failure, Report, ensure};

/// What would run if the page made markup of it: in a topic, a client id, a payload and a shadow.
const HOSTILE: &str =
    "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>";

pub(crate) async fn run(report: &mut Report) {
    report.check("emulator, headless Chromium, status page", page()).await;
}

async fn page() -> Result<String, Failure> {
    let emulator = Emulator::builder().status_port(0).start().await?;
    let url = emulator.status_url().ok_or("no status page")?;
    let client = connected(&emulator).await?;
    let _messages = client.subscribe("page/+", QoS::AtLeastOnce).await?;
    client.publish(Message::new("page/hello", HOSTILE)?).await?.await?;
    client.publish(Message::new("page/bytes", vec![0xFF, 0x00, 0xAB])?).await?.await?;
    let lamp = ShadowId::new("lamp", None).ok_or("a name")?;
    let state =
        serde_json::json!({"state": {"desired": {"color": HOSTILE, "level": 7}, "reported": {"level": 6}}});
    emulator.update_shadow(&lamp, &state).await?;

    let dom = dom(&url).await?;
    let shown = |what: &str| ensure(dom.contains(what), format!("the page does not show {what}: {dom}"));
    ensure(dom.contains("data-ready=\"1\""), format!("the page never got a status: {dom}"))?;
    for what in [
        "data-state=\"connected\"",
        "interop-page",
        "page/+",
        "page/hello",
        "ff 00 ab",
        "lamp",
        "\"level\": 7",
    ] {
        shown(what)?;
    }
    for part in ["desired", "reported", "delta"] {
        shown(&format!("data-slot=\"{part}\""))?;
    }
    shown("&lt;img src=x onerror=")?;
    let is_markup = dom.contains("<img") || dom.contains("<script>") || dom.contains("<title>taken over");
    ensure(!is_markup, format!("what clients send became markup: {dom}"))?;
    client.disconnect().await?;
    emulator.shutdown().await;
    Ok(format!("{} bytes of document, nothing in it ran", dom.len()))
}

async fn connected(emulator: &Emulator) -> Result<Client, Failure> {
    let credentials = emulator.credentials();
    let certificate = Material::bytes(credentials.certificate_pem.as_str());
    let key = Material::bytes(credentials.key_pem.as_str());
    let builder = aws_iot::mutual_tls(emulator.endpoint(), certificate, key);
    let builder = builder.root_ca(Material::bytes(credentials.ca_pem.as_str())).port(emulator.port());
    Ok(builder.client_id("interop-page").connect().await?)
}

/// The page's document after some seconds of the browser's own clock, as text.
async fn dom(url: &str) -> Result<String, Failure> {
    let profile = TempDir::new()?;
    let mut command = Command::new(browser()?);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]);
    command.args([
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--virtual-time-budget=5000",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).arg("--dump-dom").arg(url);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    // It may end with any code once it has printed the document.
    let output = command.output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Chromium, by whichever of its names is there.
fn browser() -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |directory| directory.join(name)))
        .find(|program| program.is_file())
        .ok_or_else(|| "there is no Chromium: install the package chromium".into())
}
