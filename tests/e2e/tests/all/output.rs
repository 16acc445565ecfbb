//! What the functions print, at their most talkative: no secret, no token; and they end when told.

use e2e::{App, FUNCTIONS, event};
use http::Method;
use local::{Options, Stack, StartError};
use serde_json::json;
use stream_emulator::{Fault, Rule};

#[tokio::test]
async fn no_secret_and_no_token_is_printed() {
    let app = App::with_env([("LOG_LEVEL", "debug")]).await;
    for faults in [None, Some(Fault::Status(401)), Some(Fault::Truncated)] {
        if let Some(fault) = &faults {
            app.stream().script(Rule::any(fault.clone()));
        }
        for function in FUNCTIONS {
            let mut event = event(function);
            app.invoke(function, event.clone()).await;
            // Broken in ways whose errors like to say what they found.
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
    let deep = app.send(Method::GET, "/config?deep=true", &[], "").await;
    assert_eq!(deep.status, 401);
    let processes = app.stack().instances();
    assert_eq!(processes.len(), FUNCTIONS.len());
    let output = app.stop().await;
    assert!(output.contains("\"code\":\"stream_rejected_credentials\""), "nothing was printed");
    // Nothing is left behind.
    for process in processes {
        assert!(!std::path::Path::new(&format!("/proc/{process}")).exists(), "{process} lives on");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api_port = taken.local_addr().unwrap().port();
    let started = Stack::start(Options { api_port, ..Options::default() }).await;
    let error = started.err().unwrap();
    assert!(matches!(error, StartError::Port { .. }));
    let line = error.to_string();
    assert!(line.contains(&api_port.to_string()) && !line.contains('\n'), "{line}");
}
