//! Several messages in one request.

use crate::{
    answers::{lacks, unread},
    house::{House, RequestExt, call, call_body, calls_per_hour, no, post, reader, writer},
};

fn batch(of: &[&str]) -> String {
    format!("[{}]", of.join(","))
}

#[tokio::test]
async fn trap_05_a_call_hides_in_a_batch() {
    let house = House::with(|plan| plan.limits = calls_per_hour(3));
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let get = &*call_body("2", "get_note");
    let put = &*call_body("3", "put_note");
    let export = &*call_body("4", "export");
    // Wherever it stands, and with all that is missing told at once.
    for (messages, needed) in [
        (&[list, put][..], "read:data write:data"),
        (&[put, list], "read:data write:data"),
        (
            &[get, put, export, list],
            "read:data write:data export:data",
        ),
    ] {
        let expected = lacks("", needed).of("batch", "");
        let request = post(&reader(), batch(messages));
        house.refuses(needed, request, &expected).await;
    }
    // Each call counts.
    let limited = no(429, "rate_limited")
        .retry_after(1200)
        .rpc(
            "",
            -31429,
            "Too many requests",
            r#"{"retryAfterSeconds":1200}"#,
        )
        .by("alice")
        .of("batch", "")
        .needs("read:data");
    let two = || post(&reader(), batch(&[get, list, get]));
    let (seen, _) = house.passes("two calls", two()).await;
    assert_eq!(seen.body, batch(&[get, list, get]));
    house.refuses("two of one", two(), &limited).await;
    house.passes("the third", call(&reader(), "get_note")).await;

    // Later revisions have none, and no revision has these.
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let request = post(&writer(), batch(&[list])).and("mcp-protocol-version", version);
        let expected = unread(-32600, "", "Only 2025-03-26 has batches");
        house.refuses(version, request, &expected).await;
    }
    let no_message = "An element of the batch is no message";
    for (body, message) in [
        ("[]".to_owned(), "The batch is empty"),
        (batch(&[&batch(&[list])]), no_message),
        (batch(&[list, "7"]), no_message),
    ] {
        let expected = unread(-32600, "", message);
        house
            .refuses(&body, post(&writer(), body.clone()), &expected)
            .await;
    }
}
