//! Addresses and ports: what the operator binds, and what its network policy lets out.

use serde_json::{Value, json};

use super::helm::{LEAST, TRIAL, one, refusal, render};
use super::rendered::environment;

/// Returns the ports of the policy's rules after those for DNS and the API server.
fn egress(values: &str) -> Vec<Vec<u64>> {
    let documents = render(&format!("{values}\nnetworkPolicy: {{ enabled: true }}"));
    let policy = one(&documents, "NetworkPolicy", "operator");
    let ports = |rule: &Value| {
        let ports = rule["ports"].as_array().unwrap().iter();
        ports.map(|port| port["port"].as_u64().unwrap()).collect()
    };
    policy["spec"]["egress"].as_array().unwrap().iter().skip(2).map(ports).collect()
}

#[test]
fn a_network_policy_allows_the_collectors_port() {
    for (endpoint, port) in [
        ("http://10.0.0.12", 80),
        ("https://10.0.0.12", 443),
        ("http://10.0.0.12:4318", 4318),
        ("https://collector.example.com/v1/2024", 443),
        ("http://collector:4318/v1:99", 4318),
        ("http://user:80@collector:4317", 4317),
        ("http://[2001:db8::12]", 80),
        ("http://[2001:db8::12]:4318/", 4318),
    ] {
        let rules = egress(&format!("{LEAST}\ntelemetry: {{ otlpEndpoint: '{endpoint}' }}"));
        assert_eq!(rules, [[6379], [port]], "{endpoint}");
    }
}

#[test]
fn a_network_policy_allows_the_ports_of_redis_and_sentinels() {
    for (redis, ports) in [
        ("{ url: 'redis://r' }", vec![6379]),
        ("{ url: 'rediss://r:6380' }", vec![6380]),
        ("{ url: 'rediss://10.0.0.12/3' }", vec![6379]),
        ("{ url: 'redis://r:7000/12?protocol=resp3' }", vec![7000]),
        ("{ url: 'rediss://[2001:db8::12]:6390/0' }", vec![6390]),
        ("{ existingSecret: { name: s, urlKey: url } }", vec![6379]),
        (
            "{ url: 'rediss://r:1', sentinel: { service: m, addresses: ['a:26379', 'b:26380', '[::1]:26379'] } }",
            vec![26379, 26380, 6379],
        ),
        ("{ embedded: { enabled: true } }", vec![6379]),
    ] {
        assert_eq!(egress(&format!("redis: {redis}")), [ports], "{redis}");
    }
}

#[test]
fn ports_of_redis_in_the_values_replace_the_default_only() {
    for (redis, ports) in [
        ("{ existingSecret: { name: s, urlKey: url } }", vec![6390]),
        ("{ url: 'rediss://r:6380' }", vec![6390, 6380]),
        ("{ url: 'redis://r', sentinel: { service: m, addresses: ['a:26379'] } }", vec![6390, 26379]),
    ] {
        let values = format!("redis: {redis}\nnetworkPolicy: {{ enabled: true, redisPorts: [6390] }}");
        let documents = render(&values);
        let rule = &one(&documents, "NetworkPolicy", "operator")["spec"]["egress"][2]["ports"];
        let expected: Vec<_> = ports.iter().map(|port| json!({ "port": port })).collect();
        assert_eq!(rule, &json!(expected), "{redis}");
    }
}

#[test]
fn the_bind_address_is_a_value_and_may_be_ipv6() {
    for (given, bound) in
        [("", ""), ("0.0.0.0", "0.0.0.0"), ("::", "[::]"), ("[::]", "[::]"), ("10.0.0.12", "10.0.0.12")]
    {
        let env = environment(&render(&format!("{LEAST}\nbindAddress: '{given}'")));
        assert_eq!(env["ADMIN_ADDR"], format!("{bound}:8080"));
        assert_eq!(env["TELEMETRY_ADDR"], format!("{bound}:8081"));
    }
    assert_eq!(environment(&render(LEAST))["ADMIN_ADDR"], ":8080");
    assert!(refusal(&format!("{LEAST}\nbindAddress: ':'")).contains("bindAddress"));
    assert!(refusal(&format!("{LEAST}\nbindAddress: localhost")).contains("bindAddress"));
}

#[test]
fn equal_ports_are_rejected_with_a_reason() {
    let refused = refusal(&format!("{LEAST}\nadmin: {{ port: 8081 }}"));
    assert!(refused.contains("admin.port and telemetry.port are both 8081"), "{refused}");
    let refused = refusal(&format!("{LEAST}\nservice: {{ adminPort: 8081 }}"));
    assert!(refused.contains("service.adminPort and service.telemetryPort are both 8081"), "{refused}");
}

#[test]
fn an_extra_variable_replaces_the_charts_own() {
    let values = format!(
        "{TRIAL}\nextraEnv: [{{ name: TELEMETRY_ADDR, value: '[::]:8081' }}, {{ name: COUNT, value: 1 }}]"
    );
    let documents = render(&values);
    let container = &one(&documents, "Deployment", "operator")["spec"]["template"]["spec"]["containers"][0];
    let env = container["env"].as_array().unwrap();
    let set: Vec<_> = env.iter().filter(|variable| variable["name"] == "TELEMETRY_ADDR").collect();
    assert_eq!(set, [&json!({ "name": "TELEMETRY_ADDR", "value": "[::]:8081" })]);
    assert_eq!(environment(&documents)["COUNT"], "1");
}
