//! Lines of streams.

use tidegate_snapshot::access_log::{StreamLog, StreamVariable};

use super::*;

fn session() -> StreamRecord {
    let mut record = StreamRecord::new(
        "TCP",
        "203.0.113.9:5000".parse().unwrap(),
        "10.0.0.7:5432".parse().unwrap(),
    );
    record.time = UNIX_EPOCH + Duration::from_millis(971_186_136_250);
    record.bytes_received = 78;
    record.bytes_sent = 850;
    record.session_time = Duration::from_micros(3_999_900);
    record
}

/// PROXY protocol, a server name, and two tries of which the first failed.
fn full() -> StreamRecord {
    let mut record = session();
    record.client = "198.51.100.1:4000".parse().unwrap();
    record.announced = Some((record.client, "198.51.100.2:443".parse().unwrap()));
    record.server_name = Some("a\"b".into());
    record.upstream_name = Some(ClusterKey("tcp-default-db-5432".into()));
    let failed = StreamAttempt {
        address: "10.0.0.1:5432".parse().unwrap(),
        bytes_sent: 0,
        bytes_received: 0,
        connect_time: None,
        first_byte_time: None,
        session_time: Duration::from_millis(1),
    };
    let reached = StreamAttempt {
        address: "[2001:db8::1]:5432".parse().unwrap(),
        bytes_sent: 120,
        bytes_received: 850,
        connect_time: Some(Duration::from_millis(2)),
        first_byte_time: Some(Duration::from_millis(30)),
        session_time: Duration::from_millis(3_998),
    };
    record.attempts = vec![failed, reached];
    record
}

fn line(format: &StreamFormat, record: &StreamRecord) -> String {
    let mut line = Vec::new();
    format.write(record, &mut line);
    String::from_utf8(line).unwrap()
}

fn parsed(text: &str, escape: Escape) -> LogFormat<StreamVariable> {
    let (format, unknown) = LogFormat::parse(text, escape).unwrap();
    assert_eq!(unknown, Vec::<String>::new());
    format
}

fn custom(text: &str, escape: Escape) -> StreamFormat {
    StreamFormat::Custom(parsed(text, escape))
}

#[test]
fn the_default_is_ingress_nginx_s() {
    assert_eq!(
        line(&StreamFormat::beside(&Format::Nginx), &session()),
        "[203.0.113.9] [10/Oct/2000:13:55:36 +0000] TCP 200 850 78 3.999\n"
    );
}

#[test]
fn variables_have_their_values() {
    for (text, wanted) in [
        (
            "$remote_addr $remote_port $realip_remote_addr:$realip_remote_port",
            "198.51.100.1 4000 203.0.113.9:5000",
        ),
        ("$server_addr $server_port", "10.0.0.7 5432"),
        (
            "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port",
            "198.51.100.1 4000 198.51.100.2 443",
        ),
        ("$time_iso8601 $msec", "2000-10-10T13:55:36+00:00 971186136.250"),
        (
            "$ssl_preread_server_name $proxy_upstream_name",
            "a\\x22b tcp-default-db-5432",
        ),
        ("$upstream_addr", "10.0.0.1:5432, [2001:db8::1]:5432"),
        ("$upstream_bytes_sent|$upstream_bytes_received", "0, 120|0, 850"),
        (
            "$upstream_connect_time|$upstream_first_byte_time",
            "-, 0.002|-, 0.030",
        ),
        ("$upstream_session_time", "0.001, 3.998"),
        ("$connection", "-"),
    ] {
        assert_eq!(
            line(&custom(text, Escape::Default), &full()),
            format!("{wanted}\n"),
            "{text}"
        );
    }
    let own = line(&custom("$pid $hostname", Escape::Default), &full());
    let (pid, name) = own.trim_end().split_once(' ').unwrap();
    assert_eq!(pid, std::process::id().to_string());
    assert!(!name.is_empty() && name != "-", "{name}");
}

#[test]
fn absent_values() {
    let text = "[$proxy_protocol_addr][$proxy_protocol_server_port][$ssl_preread_server_name]\
        [$proxy_upstream_name][$upstream_addr][$upstream_connect_time]";
    assert_eq!(
        line(&custom(text, Escape::Default), &session()),
        "[-][-][-][-][-][-]\n"
    );
    assert_eq!(line(&custom(text, Escape::Json), &session()), "[][][][][][]\n");
}

#[test]
fn json_beside_json() {
    let format = StreamFormat::beside(&Format::Json);
    let value: serde_json::Value = serde_json::from_str(&line(&format, &full())).unwrap();
    assert_eq!(value["time"], "2000-10-10T13:55:36.250Z");
    assert_eq!(value["remote_addr"], "198.51.100.1");
    assert_eq!(
        (&value["status"], &value["session_time"]),
        (&200.into(), &3.999.into())
    );
    assert_eq!(value["upstreams"][1]["connect_time"], 0.002);
    assert!(value["upstreams"][0].get("connect_time").is_none());
    let bare: serde_json::Value = serde_json::from_str(&line(&format, &session())).unwrap();
    assert!(bare.get("proxy_protocol_addr").is_none());
}

fn writers(log: &AccessLog) -> [Option<Arc<Sender>>; 2] {
    let requests = log.active.load();
    let requests = requests.lines.as_ref().map(|lines| Arc::clone(&lines.to));
    [
        requests,
        log.streams.load_full().map(|lines| Arc::clone(&lines.to)),
    ]
}

fn is_one(log: &AccessLog) -> bool {
    let [requests, streams] = writers(log).map(Option::unwrap);
    Arc::ptr_eq(&requests, &streams)
}

/// Requests and streams have a file each, or one writer for the same; one may be
/// off without the other.
#[test]
fn a_snapshot_changes_the_log_of_streams() {
    let folder = tempfile::tempdir().unwrap();
    let [base, own] = ["base", "own"].map(|name| folder.path().join(name));
    let log = AccessLog::start(Format::Nginx, &Output::File(base.clone())).unwrap();
    assert!(is_one(&log));
    let file = |path: &PathBuf| Some(LogOutput::File(path.clone()));
    let streams = StreamLog {
        format: Some(parsed("$status $bytes_sent", Escape::Default)),
        output: file(&own),
        ..StreamLog::default()
    };
    let spec = |streams: &StreamLog| snapshot::AccessLog {
        streams: streams.clone(),
        ..snapshot::AccessLog::default()
    };
    log.configure(&spec(&streams));
    assert!(!is_one(&log));
    log.log(&record());
    log.log_stream(&session());
    assert!(log.flush(LIMIT));
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "200 850\n");
    assert_eq!(std::fs::read_to_string(&base).unwrap().lines().count(), 1);

    // A file that cannot be opened: these lines go where they went, and nothing
    // else stays as it was.
    let nowhere = StreamLog {
        output: file(&folder.path().join("missing/file")),
        ..StreamLog::default()
    };
    log.configure(&snapshot::AccessLog {
        off: true,
        ..spec(&nowhere)
    });
    assert!(!log.enabled() && log.takes_streams());
    log.log_stream(&session());
    assert!(log.flush(LIMIT));
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "200 850\n200 850\n");

    // The same file, written out.
    log.configure(&spec(&StreamLog {
        output: file(&base),
        ..StreamLog::default()
    }));
    assert!(is_one(&log));
    log.configure(&spec(&StreamLog { off: true, ..streams }));
    assert!(log.enabled() && !log.takes_streams());
    log.log_stream(&session());
    assert!(log.flush(LIMIT));
    assert_eq!(std::fs::read_to_string(&own).unwrap().lines().count(), 2);
}

/// Where the process has no log, only a format of one's own makes one.
#[test]
fn no_log_by_default_where_there_is_none() {
    let log = AccessLog::off();
    assert!(!log.takes_streams());
    log.configure(&snapshot::AccessLog {
        streams: StreamLog {
            output: Some(LogOutput::Stderr),
            ..StreamLog::default()
        },
        ..snapshot::AccessLog::default()
    });
    assert!(!log.takes_streams());
}
