//! YAML input: reading and translating it never panics, and every document that
//! cannot be read is reported with its line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_controller::manifest;
use tidegate_controller::objects::Objects;
use tidegate_controller::options::Options;
use tidegate_controller::translate::translate;

fuzz_target!(|text: &str| {
    let read = manifest::parse("input.yaml", text);
    let lines = text.lines().count().max(1);
    assert!(read.errors.iter().all(|error| (1..=lines + 1).contains(&error.line)));
    let mut objects = Objects::new();
    for object in read.objects {
        objects.apply(object);
    }
    let options = Options {
        watch_ingress_without_class: true,
        ..Options::default()
    };
    translate(&objects, &options);
});
