//! How good a call was, from what Stream knows of it.

use e2e::App;
use serde_json::json;
use stream_emulator::{CallReport, ParticipantStats, SessionStats};

#[tokio::test]
async fn streams_report_and_statistics_are_shown() {
    let app = App::with_call("c1").await;
    let participant = |user: &str, latency, jitter, score| ParticipantStats {
        user_id: user.to_owned(),
        sessions: vec![SessionStats {
            latency_ms: Some(latency),
            jitter_ms: Some(jitter),
            freezes_duration_ms: Some(250),
            cq_score: Some(score),
            ..SessionStats::default()
        }],
        ..ParticipantStats::default()
    };
    app.stream().set_report(
        "default:c1",
        CallReport {
            score: Some(87),
            duration_seconds: 60,
            ratings: vec![4, 5],
            participants: vec![participant("alice", 100, 5, 93), participant("bob", 600, 50, 41)],
            ..CallReport::default()
        },
    );
    for ended in [false, true] {
        if ended {
            let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
        }
        let quality = app.get("/call/quality/c1", "bob").await.good().body["quality"].clone();
        assert_eq!(quality["stream"]["score"], 87.0);
        assert_eq!(quality["stream"]["userRating"], 4.5);
        assert_eq!(quality["metrics"]["latency"], 350.0);
        assert_eq!(quality["metrics"]["jitter"], 27.5);
        assert_eq!(quality["metrics"]["freezes"], 500.0);
        assert_eq!(quality["metrics"]["packetLoss"], json!(null));
        assert_eq!(quality["worstParticipant"], "bob");
        assert_eq!(quality["participants"][1]["streamScore"], 41.0);
        // Without the packets that were lost there is no score of ours.
        assert_eq!((&quality["quality"], &quality["score"]), (&json!("unknown"), &json!(null)));
        assert_eq!(quality["reason"], "no_packet_loss");
        assert_eq!(quality["sources"], json!(["stream"]));
    }
}
