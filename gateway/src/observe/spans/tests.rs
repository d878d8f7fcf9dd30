use super::*;

fn client(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    fields.iter().map(field).collect()
}

const PARENT: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);

fn finished() -> Finished {
    Finished {
        name: "GET /".to_owned(),
        attributes: Vec::new(),
        is_error: false,
        duration: Duration::from_millis(5),
    }
}

#[tokio::test]
async fn a_trusted_client_is_the_parent() {
    let spans = Spans::from_environment();
    let fields = client(&[PARENT, ("tracestate", "a=b")]);
    let span = spans.begin(&fields, true).unwrap();
    let ours = span.traceparent();
    let ours = ours.to_str().unwrap();
    assert!(ours.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{ours}");
    assert!(!ours.contains("b7ad6b7169203331"), "a span of its own");
    assert!(ours.ends_with("-01"));
    assert!(span.keeps_state());
    let data = span.data(finished());
    assert_eq!(data.parent_span_id, SpanId::from(0xb7ad_6b71_6920_3331));
    assert!(data.parent_span_is_remote);
    assert_eq!(data.span_context.trace_state().get("a"), Some("b"));
    assert_eq!(
        data.end_time.duration_since(data.start_time).unwrap(),
        Duration::from_millis(5)
    );
}

#[tokio::test]
async fn others_begin_a_trace() {
    let spans = Spans::from_environment();
    for (fields, trusts) in [
        (vec![PARENT, ("tracestate", "a=b")], false),
        (vec![("traceparent", "nonsense"), ("tracestate", "a=b")], true),
        (vec![], true),
    ] {
        let span = spans.begin(&client(&fields), trusts).unwrap();
        assert!(!span.traceparent().to_str().unwrap().contains("0af7651916"));
        assert!(!span.keeps_state());
        assert_eq!(span.data(finished()).parent_span_id, SpanId::INVALID);
    }
}

/// Nothing listens on the collector's port: spans wait, then are dropped and
/// counted, and nobody waits for them.
#[tokio::test]
async fn a_full_queue_drops() {
    let spans = Spans::from_environment();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    spans.configure(&TraceExport {
        collector: Some(format!("http://{closed}").into()),
        queue_size: Some(2),
        ..TraceExport::default()
    });
    // The export task does not run before this one waits.
    let span = spans.begin(&HeaderMap::new(), true).unwrap();
    for _ in 0..5 {
        spans.finish(&span, finished);
    }
    assert_eq!(spans.counters().dropped.load(Relaxed), 3);
    let none = TraceExport {
        sampler: Some(Sampler {
            root: tidegate_snapshot::RootSampler::None,
            parent_based: true,
        }),
        ..TraceExport::default()
    };
    spans.configure(&none);
    let span = spans.begin(&HeaderMap::new(), true).unwrap();
    spans.finish(&span, || panic!("not sampled"));
}
