//! The doctor at the local AWS IoT Core: what is healthy, and what the service refuses.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod examination;

use std::time::{Duration, SystemTime};

use aws_iot::crates::mqtt_codec::ReasonCode;
use aws_iot::doctor::{Outcome, Step};
use aws_iot::{Material, QoS, Version};
use examination::{BOTH, at, fails_at, hides, is_whole, mutual_tls, passes, patient, skips};
use iot_emulator::Emulator;

const HOUR: Duration = Duration::from_secs(3_600);

#[expect(clippy::disallowed_methods, reason = "certificates are measured by the system's date")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::test]
async fn a_healthy_device_passes_every_step_in_both_versions() {
    let emulator = Emulator::start().await.unwrap();
    for version in BOTH {
        let builder = at(&emulator, emulator.credentials()).version(version);
        let mut heard = Vec::new();
        let options = patient().thing_name("lamp");
        let report = builder.diagnose_with(options, |check| heard.push(check.clone())).await;
        assert!(report.is_healthy(), "{report}");
        is_whole(&report);
        assert_eq!(heard, report.checks(), "the observer hears of all, in order");
        use Step::{
            ClientCertificate, Connect, Disconnect, Dns, Endpoint, Publish, Receive, Settings, Subscribe,
            Tcp, Tls,
        };
        passes(&report, &[Settings, Endpoint, Dns, Tcp, Tls, ClientCertificate, Connect]);
        passes(&report, &[Subscribe, Publish, Receive, Disconnect]);
        #[cfg(feature = "shadow")]
        passes(&report, &[Step::Shadow]);
        skips(&report, &[Step::Proxy, Step::Alpn, Step::Credentials, Step::Upgrade]);
        assert!(report.to_string().contains("sdk/test/doctor/device"), "{report}");
        let key = emulator.credentials().key_pem.lines().nth(1).unwrap();
        hides(&report, &[key]);
    }
    // It has left.
    while !emulator.connected_clients().await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[cfg(feature = "shadow")]
#[tokio::test]
async fn a_shadow_that_is_there_is_told_by_its_version() {
    let emulator = Emulator::start().await.unwrap();
    let lamp = iot_emulator::shadow::ShadowId::new("lamp", None).unwrap();
    emulator.desire(&lamp, serde_json::json!({"on": true})).await.unwrap();
    let builder = at(&emulator, emulator.credentials());
    let report = builder.diagnose(patient().thing_name("lamp")).await;
    assert!(report.check(Step::Shadow).unwrap().to_string().contains("version 1"), "{report}");
    let report = builder.diagnose(patient().thing_name("no/thing")).await;
    assert!(fails_at(&report, Step::Shadow).means.contains("no thing"), "{report}");
}

#[tokio::test]
async fn an_id_and_a_topic_of_its_own_are_used() {
    let emulator = Emulator::start().await.unwrap();
    let device = at(&emulator, emulator.credentials()).connect().await.unwrap();
    let builder = at(&emulator, emulator.credentials());
    let report = builder.diagnose(patient().client_id("device-doctor").topic("a/b")).await;
    assert!(report.is_healthy() && report.subject().contains("client id device-doctor"), "{report}");
    assert!(report.to_string().contains(" a/b"), "{report}");
    assert!(device.status().borrow().is_connected() && device.stats().connections == 1, "the device stays");
}

#[tokio::test]
async fn a_setting_or_topic_that_cannot_be_fails_before_anything_is_dialled() {
    let emulator = Emulator::start().await.unwrap();
    let builder = at(&emulator, emulator.credentials());
    let report = builder.diagnose(patient().client_id("x".repeat(200))).await;
    is_whole(&report);
    assert!(fails_at(&report, Step::Settings).what.contains("128"), "{report}");
    for topic in ["a/#", "", "1/2/3/4/5/6/7/8/9"] {
        let report = builder.diagnose(patient().topic(topic)).await;
        assert!(fails_at(&report, Step::Settings).what.starts_with("the test topic"), "{report}");
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_found_before_anything_is_dialled() {
    let emulator = Emulator::start().await.unwrap();
    let mut mixed = emulator.credentials().clone();
    mixed.key_pem = emulator.authority().issue_client("other").unwrap().key_pem;
    let report = at(&emulator, &mixed).diagnose(patient()).await;
    let finding = fails_at(&report, Step::Settings);
    assert!(finding.what.contains("not the key") && finding.means.contains("two different"), "{finding:?}");
    skips(&report, &[Step::Dns, Step::Tls, Step::Connect]);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let builder =
        aws_iot::mutual_tls("localhost", Material::file("no/device.crt"), Material::file("no/device.key"));
    let finding = fails_at(&builder.diagnose(patient()).await, Step::Settings);
    assert!(finding.what.contains("no/device.crt") && finding.remedy.contains("path"), "{finding:?}");
}

#[tokio::test]
async fn certificates_outside_their_dates_fail_and_those_that_end_soon_are_doubtful() {
    let emulator = Emulator::start().await.unwrap();
    let authority = emulator.authority();
    for (from, to, word) in
        [(now() - 2 * HOUR, now() - HOUR, "expired"), (now() + HOUR, now() + 2 * HOUR, "not valid")]
    {
        let device = authority.issue_client_valid("device", from, to).unwrap();
        let finding = fails_at(&at(&emulator, &device).diagnose(patient()).await, Step::Settings);
        assert!(finding.what.contains(word) && finding.remedy.contains("clock"), "{finding:?}");
    }
    let device = authority.issue_client_valid("device", now() - HOUR, now() + 24 * HOUR).unwrap();
    let report = at(&emulator, &device).diagnose(patient()).await;
    assert!(report.is_healthy() && report.summary().contains("1 in doubt"), "{report}");
    let outcome = &report.check(Step::Settings).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Doubtful(finding) if finding.means.contains("30 days")), "{report}");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused_by_an_alert() {
    let (emulator, other) = (Emulator::start().await.unwrap(), Emulator::start().await.unwrap());
    for version in BOTH {
        let report = at(&emulator, other.credentials()).version(version).diagnose(patient()).await;
        let finding = fails_at(&report, Step::ClientCertificate);
        assert!(finding.means.contains("not registered"), "{finding:?}");
        passes(&report, &[Step::Tcp, Step::Tls]);
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_active_is_told_with_the_command_that_shows_it() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deactivate_certificate(emulator.credentials()).unwrap();
    for version in BOTH {
        let report = at(&emulator, emulator.credentials()).version(version).diagnose(patient()).await;
        let finding = fails_at(&report, Step::Connect);
        assert!(finding.means.contains("not active") && finding.means.contains("iot:Connect"), "{finding:?}");
        let id = finding.remedy.split("--certificate-id ").nth(1).unwrap().split('`').next().unwrap();
        assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{finding:?}");
        skips(&report, &[Step::Subscribe, Step::Disconnect]);
        is_whole(&report);
    }
}

#[tokio::test]
async fn a_ca_of_another_server_is_told_with_who_answered() {
    let (emulator, other) = (Emulator::start().await.unwrap(), Emulator::start().await.unwrap());
    let (endpoint, port) = (emulator.endpoint(), emulator.port());
    let builder = mutual_tls(endpoint, port, emulator.credentials(), &other.authority().ca_pem());
    let finding = fails_at(&builder.diagnose(patient()).await, Step::Tls);
    assert!(finding.what.contains("signed by CN=iot-emulator throw-away CA"), "{finding:?}");
    assert!(finding.remedy.contains("Builder::root_ca"), "{finding:?}");
}

#[tokio::test]
async fn a_policy_without_connect_names_the_client_id() {
    let emulator = Emulator::start().await.unwrap();
    emulator.refuse_connects(Some(ReasonCode::NotAuthorized)).await;
    for version in BOTH {
        let report = at(&emulator, emulator.credentials()).version(version).diagnose(patient()).await;
        let finding = fails_at(&report, Step::Connect);
        assert!(finding.means.contains("iot:Connect for the client id device"), "{finding:?}");
        assert!(finding.remedy.contains("client/device"), "{finding:?}");
    }
    emulator.refuse_connects(Some(ReasonCode::QuotaExceeded)).await;
    let report = at(&emulator, emulator.credentials()).diagnose(patient()).await;
    assert!(fails_at(&report, Step::Connect).means.contains("quota"), "{report}");
}

#[tokio::test]
async fn a_policy_without_subscribe_leaves_the_rest_to_be_examined() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deny_subscribe("sdk/test/#").await.unwrap();
    for version in BOTH {
        let report = at(&emulator, emulator.credentials()).version(version).diagnose(patient()).await;
        let finding = fails_at(&report, Step::Subscribe);
        assert!(finding.means.contains("iot:Subscribe on topicfilter/sdk/test/doctor/device"), "{finding:?}");
        passes(&report, &[Step::Publish, Step::Disconnect]);
        skips(&report, &[Step::Receive]);
        is_whole(&report);
    }
}

#[tokio::test]
async fn a_policy_without_publish_is_told_by_a_reason_or_by_the_end_of_the_connection() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deny_publish("sdk/test/#").await.unwrap();
    for version in BOTH {
        let report = at(&emulator, emulator.credentials()).version(version).diagnose(patient()).await;
        let finding = fails_at(&report, Step::Publish);
        assert!(finding.means.contains("iot:Publish on topic/sdk/test/doctor/device"), "{finding:?}");
        if version == Version::V3_1_1 {
            assert!(finding.what.contains("the connection ended when PUBLISH was sent"), "{finding:?}");
            skips(&report, &[Step::Shadow, Step::Disconnect]);
        } else {
            passes(&report, &[Step::Disconnect]);
        }
        is_whole(&report);
    }
}

#[cfg(feature = "shadow")]
#[tokio::test]
async fn a_policy_without_the_shadows_topics_names_them() {
    let emulator = Emulator::start().await.unwrap();
    let topic = "$aws/things/lamp/shadow/get";
    for version in BOTH {
        for publish in [true, false] {
            emulator.allow_all().await;
            if publish {
                emulator.deny_publish(topic).await.unwrap();
            } else {
                emulator.deny_subscribe(&format!("{topic}/accepted")).await.unwrap();
            }
            let builder = at(&emulator, emulator.credentials()).version(version);
            let report = builder.diagnose(patient().thing_name("lamp")).await;
            let finding = fails_at(&report, Step::Shadow);
            for words in [
                "iot:Publish on",
                "topic/$aws/things/lamp/shadow/get",
                "topicfilter/$aws/things/lamp/shadow/get/*",
            ] {
                assert!(format!("{finding:?}").contains(words), "{words}: {finding:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_waits_in_a_session_that_is_kept_is_left_to_the_device() {
    let emulator = Emulator::start().await.unwrap();
    for version in BOTH {
        let builder = at(&emulator, emulator.credentials()).version(version);
        let builder = builder.connect_interval(Duration::from_millis(1));
        let builder = match version {
            Version::V5 => builder.clean_start(false).session_expiry(HOUR),
            _ => builder.clean_start(false),
        };
        let device = builder.clone().connect().await.unwrap();
        let messages = device.subscribe("command", QoS::AtLeastOnce).await.unwrap();
        device.disconnect().await.unwrap();
        emulator.publish("command", "go", QoS::AtLeastOnce, false).await.unwrap();

        let report = builder.diagnose(patient()).await;
        assert!(report.is_healthy() && report.to_string().contains("the session that was left"), "{report}");

        device.connect().await.unwrap();
        let mut messages = messages;
        assert_eq!(messages.next().await.unwrap().payload(), b"go");
        device.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn an_examination_runs_on_a_task_of_its_own() {
    let emulator = Emulator::start().await.unwrap();
    let builder = at(&emulator, emulator.credentials());
    let report = tokio::spawn(async move { builder.diagnose(patient()).await }).await.unwrap();
    assert!(report.is_healthy(), "{report}");
}

#[tokio::test]
async fn an_examination_that_is_dropped_leaves_in_order() {
    let emulator = Emulator::start().await.unwrap();
    let builder = at(&emulator, emulator.credentials());
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let examination = builder.diagnose_with(patient(), move |check| {
        let _ = told.send(check.step);
    });
    let connected = async {
        while let Some(step) = hears.recv().await {
            if step == Step::Connect {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = connected => {}
        _ = examination => panic!("too early"),
    }
    // Who connects by the same id finds it free, or takes it over.
    let client = builder.connect().await.unwrap();
    client.disconnect().await.unwrap();
}
