//! The functions' output contains no secret and no token, even at the most verbose level.

use e2e::{FUNCTIONS, TestApp, sample_event};
use http::Method;
use local::{Options, Stack, StartError};
use serde_json::json;
use stream_emulator::{Fault, FaultRule};

#[tokio::test]
async fn no_secret_or_token_is_printed() {
    let app = TestApp::with_env([("LOG_LEVEL", "debug")]).await;
    for faults in [None, Some(Fault::Status(401)), Some(Fault::Truncated)] {
        if let Some(fault) = &faults {
            app.stream().add_fault(FaultRule::for_any_operation(fault.clone()));
        }
        for function in FUNCTIONS {
            let mut event = sample_event(function);
            app.invoke(function, event.clone()).await;
            // Malformed values, whose parse errors could contain them.
            for tail in ["\u{e9}", "\u{0}", ".x"] {
                let header = &mut event["headers"]["authorization"];
                *header = json!(format!("{}{tail}", header.as_str().unwrap()));
                app.invoke(function, event.clone()).await;
            }
            event["body"] = event["headers"]["authorization"].clone();
            app.invoke(function, event.clone()).await;
            event["headers"] = event["headers"]["authorization"].clone();
            app.invoke(function, event).await;
        }
    }
    let unauthenticated = app.send(Method::GET, "/config?deep=true", &[], "").await;
    assert_eq!(unauthenticated.status, 401);
    let processes = app.stack().process_ids();
    assert_eq!(processes.len(), FUNCTIONS.len());
    let output = app.stop().await;
    assert!(
        output.contains("\"code\":\"stream_rejected_credentials\""),
        "the output must contain the rejected requests"
    );
    // All processes have ended.
    for process in processes {
        assert!(
            !std::path::Path::new(&format!("/proc/{process}")).exists(),
            "process {process} is still running"
        );
    }
}

#[tokio::test]
async fn occupied_port_is_named_in_the_error() {
    let occupied_listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api_port = occupied_listener.local_addr().unwrap().port();
    let started = Stack::start(Options { api_port, ..Options::default() }).await;
    let error = started.err().unwrap();
    assert!(matches!(error, StartError::PortUnavailable { .. }));
    let line = error.to_string();
    assert!(line.contains(&api_port.to_string()) && !line.contains('\n'), "{line}");
}
