mod streams;

use std::io::Write;
use std::net::IpAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderValue, Method, Version};
use tidegate_snapshot::access_log::{Escape, LogFormat};
use tidegate_snapshot::{ClusterKey, ObjectRef};

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

fn record() -> Record {
    let mut record = Record::new(
        IpAddr::from([203, 0, 113, 9]),
        Method::GET,
        b"/cart?a=1",
        Version::HTTP_11,
    );
    record.time = UNIX_EPOCH + Duration::from_millis(971_186_136_250);
    record.host = "shop.example".into();
    record.status = 200;
    record.body_bytes_sent = 612;
    record.bytes_sent = 850;
    record.request_length = 78;
    record.request_time = Duration::from_micros(3_999);
    record
}

fn answered() -> Record {
    let mut record = record();
    record.user = Some(b"ann".as_slice().into());
    record.referer = Some(HeaderValue::from_static("https://a.example/"));
    record.user_agent = Some(HeaderValue::from_static("curl/8"));
    record.upstream_name = Some(ClusterKey("default-web-80".into()));
    record.request_id = Some(HeaderValue::from_static("0123456789abcdef0123456789abcdef"));
    record.route = Some(ObjectRef::new("Ingress", "default", "web"));
    record.attempts = vec![attempt(1, 0, 1, 502), attempt(2, 612, 2, 200)];
    record
}

fn attempt(host: u8, length: u64, millis: u64, status: u16) -> Attempt {
    Attempt {
        address: ([10, 0, 0, host], 8080).into(),
        response_length: length,
        response_time: Duration::from_millis(millis),
        status,
    }
}

fn line(format: Format, record: &Record) -> String {
    let mut line = Vec::new();
    format.write(record, &mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn nginx_format_of_a_proxied_request() {
    assert_eq!(
        line(Format::Nginx, &answered()),
        "203.0.113.9 - ann [10/Oct/2000:13:55:36 +0000] \"GET /cart?a=1 HTTP/1.1\" 200 612 \
         \"https://a.example/\" \"curl/8\" 78 0.003 [default-web-80] [] \
         10.0.0.1:8080, 10.0.0.2:8080 0, 612 0.001, 0.002 502, 200 0123456789abcdef0123456789abcdef\n"
    );
}

#[test]
fn nginx_format_of_a_request_that_went_nowhere() {
    assert_eq!(
        line(Format::Nginx, &record()),
        "203.0.113.9 - - [10/Oct/2000:13:55:36 +0000] \"GET /cart?a=1 HTTP/1.1\" 200 612 \
         \"-\" \"-\" 78 0.003 [-] [] - - - - -\n"
    );
}

#[test]
fn nginx_escaping_lets_nobody_forge_lines() {
    let mut record = record();
    record.uri = b"/\"\\\n\x7f\xc3\xa9 ~".as_slice().into();
    record.user_agent = Some(HeaderValue::from_bytes(b"a\"b\tc\xff").unwrap());
    let line = line(Format::Nginx, &record);
    assert!(
        line.contains(r#""GET /\x22\x5C\x0A\x7F\xC3\xA9 ~ HTTP/1.1""#),
        "{line}"
    );
    assert!(line.contains(r#""a\x22b\x09c\xFF""#), "{line}");
    assert_eq!(line.matches('\n').count(), 1);
}

#[test]
fn http2_is_called_as_nginx_calls_it() {
    let mut record = record();
    record.version = Version::HTTP_2;
    assert!(line(Format::Nginx, &record).contains("\"GET /cart?a=1 HTTP/2.0\""));
}

#[test]
fn json_has_numbers_and_leaves_out_what_is_absent() {
    let value: serde_json::Value = serde_json::from_str(&line(Format::Json, &answered())).unwrap();
    assert_eq!(value["time"], "2000-10-10T13:55:36.250Z");
    assert_eq!(value["status"], 200);
    assert_eq!(value["request_time"], 0.003);
    assert_eq!(value["ingress_name"], "web");
    assert_eq!(value["upstreams"][1]["addr"], "10.0.0.2:8080");
    assert_eq!(value["proxy_upstream_name"], "default-web-80");
    let bare: serde_json::Value = serde_json::from_str(&line(Format::Json, &record())).unwrap();
    assert!(bare.get("remote_user").is_none());
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn everything_handed_over_is_written_in_order() {
    let sink = Sink::default();
    let log = AccessLog::to_writer(Format::Nginx, sink.clone()).unwrap();
    for status in 200..300 {
        let mut record = record();
        record.status = status;
        log.log(&record);
    }
    assert!(log.flush(LIMIT));
    let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    let expected: Vec<_> = (200..300).map(|status| format!("\" {status} 612")).collect();
    assert_eq!(text.lines().count(), expected.len());
    for (line, status) in text.lines().zip(expected) {
        assert!(line.contains(&status), "{line}");
    }
    assert_eq!(log.dropped(), 0);
}

/// Tells of each `write`, and blocks in it until the test lets go.
struct Stuck {
    entered: mpsc::Sender<()>,
    release: mpsc::Receiver<()>,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        let _ = self.release.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_reader_costs_records_not_time() {
    let (let_go, release) = mpsc::channel();
    let (entered, is_in) = mpsc::channel();
    let log = AccessLog::to_writer(Format::Json, Stuck { entered, release }).unwrap();
    log.log(&record());
    is_in.recv_timeout(LIMIT).unwrap();
    let fit = queue::MOST / line(Format::Json, &record()).len();
    let extra = 2000;
    for _ in 0..fit + extra {
        log.log(&record());
    }
    assert_eq!(log.dropped(), extra as u64);
    assert!(!log.flush(Duration::from_millis(20)));
    drop(let_go);
    assert!(log.flush(LIMIT));
}

/// Nobody has to ask for it: a line shows within a tenth of a second, the first
/// one and those that come while the writer rests.
#[test]
fn lines_show_soon() {
    let sink = Sink::default();
    let log = AccessLog::to_writer(Format::Nginx, sink.clone()).unwrap();
    for count in 1..=3 {
        log.log(&record());
        let began = std::time::Instant::now();
        while String::from_utf8_lossy(&sink.0.lock().unwrap()).lines().count() < count {
            assert!(began.elapsed() < LIMIT);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The writer ends with its log, and not before everything is written.
#[test]
fn what_waits_is_written_when_the_log_ends() {
    struct Ends(Sink, mpsc::Sender<()>);
    impl Write for Ends {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }
    let sink = Sink::default();
    let (ended, is_over) = mpsc::channel();
    let log = AccessLog::to_writer(Format::Nginx, Ends(sink.clone(), ended)).unwrap();
    for _ in 0..100 {
        log.log(&record());
    }
    drop(log);
    is_over.recv_timeout(LIMIT).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&sink.0.lock().unwrap()).lines().count(),
        100
    );
}

#[test]
fn a_moved_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let mut file = open(&path).unwrap();
    file.write_all(b"old\n").unwrap();
    std::fs::rename(&path, directory.path().join("access.log.1")).unwrap();
    super::writer::Reopen::reopen(&mut file, &path).unwrap();
    file.write_all(b"new\n").unwrap();
    super::writer::Reopen::reopen(&mut file, &path).unwrap();
    file.write_all(b"er\n").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\ner\n");
}

#[test]
fn off_is_off() {
    let log = AccessLog::off();
    assert!(!log.enabled());
    log.log(&record());
    assert!(log.flush(LIMIT));
    assert_eq!(log.dropped(), 0);
}

fn custom(text: &str, escape: Escape) -> Format {
    let (format, unknown) = LogFormat::parse(text, escape).unwrap();
    assert_eq!(unknown, Vec::<String>::new());
    Format::Custom(Box::new(Custom::new(&format)))
}

/// ingress-nginx's default format written out gives the same line.
#[test]
fn the_default_format_as_a_custom_one() {
    let text = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
        \"$http_referer\" \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
        [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length \
        $upstream_response_time $upstream_status $req_id";
    let format = custom(text, Escape::Default);
    for record in [record(), answered()] {
        assert_eq!(line(format.clone(), &record), line(Format::Nginx, &record));
    }
}

/// ingress-nginx e2e log-format 6 to 8: JSON escape `\"`, default `\x22`, none
/// raw; absent values.
#[test]
fn escaping_and_absent_values() {
    let mut record = record();
    record.user_agent = Some(HeaderValue::from_static("a\"b\\c\td"));
    let text = "[$http_user_agent][$remote_user][$upstream_addr][$http_x]";
    for (escape, wanted) in [
        (Escape::Default, "[a\\x22b\\x5Cc\\x09d][-][-][-]\n"),
        (Escape::Json, "[a\\\"b\\\\c\\td][][][]\n"),
        (Escape::None, "[a\"b\\c\td][][][]\n"),
    ] {
        assert_eq!(line(custom(text, escape), &record), wanted);
    }
}

#[test]
fn variables_have_their_values() {
    let mut record = answered();
    let names = "$time_iso8601 $msec $request_method $request_uri $args $arg_A $host $scheme \
        $server_protocol $namespace $ingress_name $service_name $service_port $bytes_sent $status";
    assert_eq!(
        line(custom(names, Escape::Default), &record),
        "2000-10-10T13:55:36.25+00:00 971186136.250 GET /cart?a=1 a=1 1 shop.example http HTTP/1.1 \
         default web web 80 850 200\n"
            .replace(".25+", "+")
    );
    record.captured.request = vec![Some(HeaderValue::from_static("sid=1; b=2")), None];
    let cookies = custom("$cookie_b $http_x_b ${cookie_sid}x", Escape::Default);
    assert_eq!(line(cookies, &record), "2 - 1x\n");
}

#[test]
fn a_snapshot_changes_the_log_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let log = AccessLog::start(Format::Nginx, &Output::File(first.clone())).unwrap();
    log.log(&record());
    assert!(log.flush(LIMIT));
    let (format, _) = LogFormat::parse("$status", Escape::Default).unwrap();
    let spec = snapshot::AccessLog {
        format: Some(format),
        output: Some(LogOutput::File(second.clone())),
        skip: vec![
            Pattern::literal("/health").unwrap(),
            Pattern::new("^/x", false).unwrap(),
        ],
        ..snapshot::AccessLog::default()
    };
    log.configure(&spec);
    assert!(log.takes(false, b"/"));
    assert!(!log.takes(true, b"/"), "the default backend");
    assert!(!log.takes(false, b"/health") && !log.takes(false, b"/xy") && log.takes(false, b"/health2"));
    log.log(&record());
    assert!(log.flush(LIMIT));
    log.configure(&snapshot::AccessLog {
        off: true,
        ..spec.clone()
    });
    assert!(!log.enabled() && !log.takes(false, b"/"));
    log.configure(&snapshot::AccessLog::default());
    log.log(&record());
    assert!(log.flush(LIMIT));
    let lines = |path| std::fs::read_to_string(path).unwrap().lines().count();
    assert_eq!(
        (lines(&first), std::fs::read_to_string(&second).unwrap()),
        (2, "200\n".to_owned())
    );
}
