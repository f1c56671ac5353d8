//! The chain of the AWS SDK, in a process of its own, since it reads the process's environment.
#![cfg(feature = "aws-config")]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use std::env;
use std::fs;
use std::process::Command;

use iot_transport::credentials::{AwsConfigChain, ProvideCredentials, explain};

const FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
const INSIDE: &str = "TEST_RUNS_INSIDE";

/// Runs this test program again for one test, with nothing of AWS in its environment but the shared file.
fn inside(test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let credentials = directory.path().join("credentials");
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env(FILE, credentials).env("AWS_CONFIG_FILE", directory.path().join("config"));
    command.env("AWS_EC2_METADATA_DISABLED", "true").env(INSIDE, "yes");
    assert!(command.status().unwrap().success());
}

fn write(profile: &str, key: &str) {
    let text = format!("[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = wJalrXUt\n");
    fs::write(env::var(FILE).unwrap(), text).unwrap();
}

#[tokio::test]
async fn the_chain_reads_the_profile_anew_at_each_call() {
    if env::var_os(INSIDE).is_none() {
        return inside("the_chain_reads_the_profile_anew_at_each_call");
    }
    let chain = AwsConfigChain::new().region("eu-west-1").profile("sensors");
    for _ in 0..2 {
        let text = explain(&chain.provide_credentials().await.unwrap_err());
        assert!(text.starts_with("no AWS credentials were found"), "{text}");
    }
    for key in ["AKID1", "AKID2"] {
        write("sensors", key);
        assert_eq!(chain.provide_credentials().await.unwrap().access_key_id(), key);
    }
}
