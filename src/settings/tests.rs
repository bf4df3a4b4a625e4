use clap::Parser;

use super::{InvalidSettings, RunArgs, Settings};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
}

fn parse(flags: &[&str]) -> Result<Settings, InvalidSettings> {
    Settings::parse(Line::parse_from([&["run"], flags].concat()).run)
}

#[test]
fn a_redis_url_is_the_only_required_setting() {
    let settings = parse(&["--redis-url", "redis://localhost"]).unwrap();
    assert!(settings.leader_elect && settings.publish_webhook_secret && !settings.admin.enabled);
    assert_eq!(settings.admin.addr.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.telemetry_addr.to_string(), ":8081");
}

#[test]
fn all_errors_are_reported_together_with_their_flag_and_variable() {
    let flags = ["--leader-elect", "maybe", "--admin-addr", "8080", "--watch-namespaces", "ok,Not_ok"];
    let InvalidSettings(errors) = parse(&flags).unwrap_err();
    for named in [
        "--redis-url (REDIS_URL)",
        "--leader-elect (LEADER_ELECT)",
        "--admin-addr (ADMIN_ADDR)",
        "\"Not_ok\"",
    ] {
        assert!(errors.iter().any(|error| error.to_string().contains(named)), "{named}: {errors:?}");
    }
    assert_eq!(errors.len(), 4);
}

#[test]
fn sizes_are_bytes_with_or_without_a_suffix() {
    let of = |size: &str| parse(&["--redis-url", "redis://h", "--max-tenant-bytes", size]);
    assert_eq!(of("").unwrap().max_tenant_bytes, 1 << 20);
    assert_eq!(of("64Ki").unwrap().max_tenant_bytes, 64 << 10);
    assert_eq!(of("70000").unwrap().max_tenant_bytes, 70_000);
    for (size, problem) in
        [("63Ki", "65536 to 1048576"), ("2Mi", "65536 to 1048576"), ("1MB", "must be a number")]
    {
        let error = of(size).unwrap_err().to_string();
        assert!(error.contains(problem) && error.contains("MAX_TENANT_BYTES"), "{error}");
    }
}

#[test]
fn an_invalid_url_is_not_shown() {
    for url in
        ["http://user:hunter2@host", "redis://user:hunter2@", "redis://user:hunter2@host/zero", "hunter2"]
    {
        let error = parse(&["--redis-url", url]).unwrap_err().to_string();
        assert!(error.contains("REDIS_URL") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn no_authentication_requires_a_loopback_address() {
    let open = ["--redis-url", "redis://h", "--runtime-admin-auth", "none", "--admin-addr", "0.0.0.0:8080"];
    assert!(parse(&open).unwrap_err().to_string().contains("--runtime-admin-insecure"));
    assert!(parse(&[&open[..], &["--runtime-admin-insecure"]].concat()).is_ok());
    assert!(parse(&open[..4]).is_ok());
}

#[test]
fn key_authentication_requires_a_file_and_tls_off_loopback() {
    let key = ["--redis-url", "redis://h", "--runtime-admin-auth", "key"];
    assert!(parse(&key).unwrap_err().to_string().contains("--runtime-admin-key-file"));
    let with_file = [&key[..], &["--runtime-admin-key-file", "keys"]].concat();
    assert!(parse(&with_file).is_ok());
    let public = [&with_file[..], &["--admin-addr", ":8080"]].concat();
    assert!(parse(&public).unwrap_err().to_string().contains("requires TLS"));
    assert!(parse(&[&public[..], &["--runtime-admin-insecure"]].concat()).is_ok());
    let tls = ["--admin-tls-cert-file", "c", "--admin-tls-key-file", "k"];
    assert!(parse(&[&public[..], &tls].concat()).is_ok());
}

#[test]
fn origins_are_exact() {
    let url = ["--redis-url", "redis://h", "--admin-cors-origins"];
    let settings = parse(&[&url[..], &["https://a.example.com, http://localhost:3000"]].concat()).unwrap();
    assert_eq!(settings.admin.origins.len(), 2);
    for wrong in ["*", "null", "https://a.example.com/", "https://*.example.com"] {
        let error = parse(&[&url[..], &[wrong]].concat()).unwrap_err().to_string();
        assert!(error.contains("--admin-cors-origins") && error.contains(wrong), "{error}");
    }
}

#[test]
fn a_boolean_is_one_of_nine_words() {
    for (word, value) in [("required", true), ("ON", true), ("1", true), ("no", false), ("Off", false)] {
        let settings = parse(&["--redis-url", "redis://h", "--enable-runtime-admin", word]).unwrap();
        assert_eq!(settings.admin.enabled, value, "{word}");
    }
    for wrong in ["maybe", "optional", "y", "2"] {
        assert!(parse(&["--redis-url", "redis://h", "--enable-runtime-admin", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn settings_that_belong_together_are_required_together() {
    let error = parse(&["--redis-url", "redis://h", "--admin-tls-cert-file", "c"]).unwrap_err().to_string();
    assert!(error.contains("--admin-tls-key-file"), "{error}");
    let error = parse(&["--redis-url", "redis://h", "--redis-sentinel", "a:26379"]).unwrap_err().to_string();
    assert!(error.contains("--redis-sentinel-service"), "{error}");
}

#[test]
fn debug_output_shows_no_password() {
    let settings = parse(&["--redis-url", "redis://:hunter2@localhost"]).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}
