//! A function of `lambda_http` that does nothing, the baseline of the benchmarks.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: Request| {
        let response = Response::builder().header("content-type", "application/json");
        response.body(Body::from(r#"{"error":false,"message":"Hello"}"#)).map_err(Error::from)
    }))
    .await
}
